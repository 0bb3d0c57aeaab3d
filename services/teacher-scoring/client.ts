/** Teacher scoring in another process. */
import type { ChannelOptions } from '@grpc/grpc-js';
import { TeacherScoringServiceClient } from '../../proto/gen/stemma/v1/control.js';
import { CHANNEL_OPTIONS, callUnary, insecureCredentials } from '../runtime/grpc.js';
import type { TeacherScoring } from '../training/scoring.js';

/** A connection that is gone is noticed in seconds. Pings this often are for our own server only (services/runtime/grpc.ts). */
const NOTICE_SILENCE: ChannelOptions = { ...CHANNEL_OPTIONS, 'grpc.keepalive_time_ms': 5_000, 'grpc.keepalive_timeout_ms': 5_000 };

/**
 * A service that hangs answers pings no more than calls. The caller's retry asks again: what was scored is recorded, chunk by chunk, also after the
 * caller gave up, so a batch that takes longer than this is done after some retries.
 */
const CALL_TIMEOUT_MS = 120_000;

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
