/** Teacher scoring in another process. */
import type { ChannelOptions } from '@grpc/grpc-js';
import { TeacherScoringServiceClient } from '../../proto/gen/stemma/v1/control.js';
import { CHANNEL_OPTIONS, callUnary, insecureCredentials } from '../runtime/grpc.js';
import type { TeacherScoring } from '../training/scoring.js';

/**
 * A service that hangs is noticed in seconds, and asked again by the caller's retry: what it scored is recorded. Pings this often are for our own
 * server only (services/runtime/grpc.ts).
 */
const NOTICE_SILENCE: ChannelOptions = { ...CHANNEL_OPTIONS, 'grpc.keepalive_time_ms': 5_000, 'grpc.keepalive_timeout_ms': 5_000 };

/** Scoring a full-scale batch by a teacher that must first be loaded. */
const CALL_TIMEOUT_MS = 3_600_000;

export function teacherScoringClient(address: string): TeacherScoring & { close(): void } {
  const client = new TeacherScoringServiceClient(address, insecureCredentials, NOTICE_SILENCE);
  return {
    async scoreEpisodes({ episodes, ...request }) {
      const { scores } = await callUnary(client.scoreEpisodes.bind(client), { ...request, episodes: [...episodes] }, { boundary: 'scorer', timeoutMs: CALL_TIMEOUT_MS });
      return scores.map(({ episode, scored, failure }) => ({ episode, ...(scored && { scored }), ...(failure !== '' && { failure }) }));
    },
    close: () => client.close(),
  };
}
