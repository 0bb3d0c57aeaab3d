/** Teacher scoring in another process. */
import type { ChannelOptions } from '@grpc/grpc-js';
import { StemmaError } from '../../core/errors.js';
import { TeacherScoringServiceClient } from '../../proto/gen/stemma/v1/control.js';
import { CHANNEL_OPTIONS, callUnary, insecureCredentials } from '../runtime/grpc.js';
import type { TeacherScoring } from '../training/scoring.js';

/**
 * A connection that is gone, or a service that hangs, is noticed in seconds: it answers no pings. Pings this often are for our own server only
 * (services/runtime/grpc.ts). A machine's kernel still accepts connections for a process that hangs: whoever connects anew waits for its greeting, not for the call.
 */
const NOTICE_SILENCE: ChannelOptions = { ...CHANNEL_OPTIONS, 'grpc.keepalive_time_ms': 3_000, 'grpc.keepalive_timeout_ms': 4_000 };
const GREETS_WITHIN_MS = 5_000;

/**
 * The caller's retry asks again: what was scored is recorded, chunk by chunk, also after the caller gave up, so a batch that takes longer than this is
 * done after some retries.
 */
const CALL_TIMEOUT_MS = 120_000;

export function teacherScoringClient(address: string): TeacherScoring & { close(): void } {
  const client = new TeacherScoringServiceClient(address, insecureCredentials, NOTICE_SILENCE);
  return {
    async scoreEpisodes({ episodes, ...request }) {
      await greeted(client, address);
      const { scores } = await callUnary(client.scoreEpisodes.bind(client), { ...request, episodes: [...episodes] }, { boundary: 'scorer', timeoutMs: CALL_TIMEOUT_MS });
      return scores.map(({ episode, scored, failure }) => ({ episode, ...(scored && { scored }), ...(failure !== '' && { failure }) }));
    },
    close: () => client.close(),
  };
}

/** UNAVAILABLE where nobody answers as the service. At once while the connection stands. */
function greeted(client: TeacherScoringServiceClient, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + GREETS_WITHIN_MS, (error) => {
      if (!error) return resolve();
      reject(new StemmaError('scorer', 'UNAVAILABLE', `teacher scoring at ${address} does not answer`, 'Is its process running? It is asked again.', error));
    });
  });
}
