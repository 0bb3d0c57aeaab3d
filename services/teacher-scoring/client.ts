/** Teacher scoring in another process. */
import { TeacherScoringServiceClient } from '../../proto/gen/stemma/v1/control.js';
import { CHANNEL_OPTIONS, callUnary, insecureCredentials } from '../runtime/grpc.js';
import type { TeacherScoring } from '../training/scoring.js';

/** Scoring a full-scale batch by a teacher that must first be loaded. */
const CALL_TIMEOUT_MS = 3_600_000;

export function teacherScoringClient(address: string): TeacherScoring & { close(): void } {
  const client = new TeacherScoringServiceClient(address, insecureCredentials, CHANNEL_OPTIONS);
  return {
    async scoreEpisodes({ episodes, ...request }) {
      const { scores } = await callUnary(client.scoreEpisodes.bind(client), { ...request, episodes: [...episodes] }, { boundary: 'scorer', timeoutMs: CALL_TIMEOUT_MS });
      return scores.map(({ episode, scored, failure }) => ({ episode, ...(scored && { scored }), ...(failure !== '' && { failure }) }));
    },
    close: () => client.close(),
  };
}
