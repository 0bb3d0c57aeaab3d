/** The trainer on the compute sidecar: it holds the state, we hold its hashes. Every call is safe to repeat. */
import { TrainerServiceClient } from '../../../proto/gen/stemma/v1/trainer.js';
import type { Trainer } from '../../../core/ports.js';
import { callUnary, PLAIN_CHANNEL, type UnaryMethod } from '../../runtime/grpc.js';
import { LONG_CALL_MS, QUICK_CALL_MS, required } from '../sidecar-channel.js';

export type SidecarTrainer = Trainer & { close(): void };

export function sidecarTrainer(address: string, { credentials, options } = PLAIN_CHANNEL): SidecarTrainer {
  const client = new TrainerServiceClient(address, credentials, options);
  const call = <Request, Response>(method: UnaryMethod<Request, Response>, request: Request, timeoutMs = LONG_CALL_MS) =>
    callUnary(method.bind(client), request, { boundary: 'trainer', timeoutMs });
  return {
    async status() {
      const { stateHash, weightsHash, fingerprintJson, busySeconds, peakMemoryBytes } = await call(client.getStatus, {}, QUICK_CALL_MS);
      return { stateHash, weightsHash, fingerprintJson, busySeconds, peakMemoryBytes: Number(peakMemoryBytes) };
    },
    async trainTokenizer(corpus, vocabularySize, specialTokens) {
      const { tokenizer } = await call(client.trainTokenizer, { corpus, vocabularySize, specialTokens: [...specialTokens] });
      return required('trainer', tokenizer, 'tokenizer');
    },
    async initializeModel(modelConfigJson, seed) {
      const { weightsHash, weights } = await call(client.initializeModel, { modelConfigJson, seed });
      return { weightsHash, weights: required('trainer', weights, 'weights') };
    },
    restore: (source) => call(client.restore, {
      source: 'weights' in source ? { $case: 'weights', value: source.weights } : { $case: 'snapshot', value: source.snapshot },
    }),
    async step(input) {
      const { samples, ...result } = await call(client.step, { ...input });
      return { ...result, sampleStats: samples.map(({ stats }) => stats) };
    },
    async snapshot(stateHash) {
      const { snapshot } = await call(client.snapshot, { stateHash });
      return required('trainer', snapshot, 'snapshot');
    },
    async publishWeights(weightsHash) {
      const { weights } = await call(client.publishWeights, { weightsHash });
      return required('trainer', weights, 'weights');
    },
    async export(weights, tokenizer, chatTemplate, directory) {
      const { files } = await call(client.export, { weights, tokenizer, chatTemplate, directory });
      return files;
    },
    close: () => client.close(),
  };
}
