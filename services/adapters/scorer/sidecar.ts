/** The scorer (teachers, reference models) on the compute sidecar. Scores come back as a reference: the sidecar writes the blob. */
import { ScorerServiceClient } from '../../../proto/gen/stemma/v1/scorer.js';
import { SamplerServiceClient } from '../../../proto/gen/stemma/v1/sampler.js';
import { packU32 } from '../../../core/log/bytes.js';
import type { ScoreInput, Scorer } from '../../../core/ports.js';
import { callUnary, PLAIN_CHANNEL } from '../../runtime/grpc.js';
import { LONG_CALL_MS, required } from '../sidecar-channel.js';

export type SidecarScorer = Scorer & { close(): void };

const CALL = { boundary: 'scorer', timeoutMs: LONG_CALL_MS } as const;

export function sidecarScorer(address: string, { credentials, options } = PLAIN_CHANNEL): SidecarScorer {
  const client = new ScorerServiceClient(address, credentials, options);
  // The sidecar keeps one cache of models; its loading call is the sampler service's.
  const models = new SamplerServiceClient(address, credentials, options);
  return {
    async score(input: ScoreInput) {
      const samples = input.samples.map(({ tokens, positions }) => ({ tokens: packU32(tokens), positions: packU32(positions) }));
      const request = { ...input, bannedTokenIds: [...input.bannedTokenIds], samples };
      const { scores } = await callUnary(client.score.bind(client), request, CALL);
      return required('scorer', scores, 'scores');
    },
    async loadWeights(weightsHash, weights) {
      await callUnary(models.loadWeights.bind(models), { weightsHash, weights }, CALL);
    },
    close() {
      client.close();
      models.close();
    },
  };
}
