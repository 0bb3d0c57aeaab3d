/** Teacher scoring in other processes: one or several, each of which may die at any time. */
import { isIP } from 'node:net';
import type { ChannelOptions } from '@grpc/grpc-js';
import { StemmaError } from '../../core/errors.js';
import { TeacherScoringServiceClient } from '../../proto/gen/stemma/v1/control.js';
import { PLAIN_CHANNEL, callUnary, type Channel } from '../runtime/grpc.js';
import { settleAll } from '../runtime/settle-all.js';
import type { EpisodeScoring, ScoringRequest, TeacherScoring } from '../training/scoring.js';

/**
 * A connection that is gone, or a service that hangs, is noticed in seconds: it answers no pings. Pings this often are for our own server only
 * (services/runtime/grpc.ts). A machine's kernel still accepts connections for a process that hangs: whoever connects anew waits for its greeting, not for the call.
 */
const NOTICE_SILENCE: ChannelOptions = { 'grpc.keepalive_time_ms': 3_000, 'grpc.keepalive_timeout_ms': 4_000 };
const GREETS_WITHIN_MS = 5_000;

/** A name may stand for several processes: calls go to each that answers in turn. */
const IN_TURN: ChannelOptions = {
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }), 'grpc.service_config_disable_resolution': 1,
};

/**
 * The caller's retry asks again: what was scored is recorded, chunk by chunk, also after the caller gave up, so a batch that takes longer than this is
 * done after some retries.
 */
const CALL_TIMEOUT_MS = 120_000;

interface Place {
  /** host:port */
  readonly address: string;
  readonly client: TeacherScoringServiceClient;
}

/**
 * `addresses`: host:port, or several with commas between. Each of several scores a part of a request, always the same part while all answer, so that
 * each holds few teachers; the part of one that is away goes to the next. UNAVAILABLE when nobody is left.
 */
export function teacherScoringClient(addresses: string, channelOf: (address: string) => Channel = () => PLAIN_CHANNEL): TeacherScoring & { close(): void } {
  const places = addresses.split(',').map((address): Place => {
    const { credentials, options } = channelOf(address);
    return { address, client: new TeacherScoringServiceClient(address, credentials, { ...options, ...NOTICE_SILENCE, ...IN_TURN }) };
  });
  return {
    async scoreEpisodes(request) {
      const parts = await settleAll(places.map((_, part) => scorePart(places, { ...request, part, parts: places.length })));
      // Of episodes of other parts an answer says nothing.
      const answers = new Map(parts.flat().filter(({ scored, failure }) => scored ?? failure).map((answer) => [answer.episode, answer]));
      return request.episodes.map((episode) => answers.get(episode) ?? { episode });
    },
    close: () => places.forEach(({ client }) => client.close()),
  };
}

async function scorePart(places: readonly Place[], request: ScoringRequest & { readonly part: number }): Promise<readonly EpisodeScoring[]> {
  const last = triesOf(places) - 1;
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask(places[(request.part + tries) % places.length]!, request);
    } catch (error) {
      const elsewhere = error instanceof StemmaError && error.code === 'UNAVAILABLE' && tries < last;
      if (!elsewhere) throw error;
    }
  }
}

/** Behind a name there may be another that answers. */
function triesOf(places: readonly Place[]): number {
  return places.length > 1 || isIP(places[0]!.address.replace(/:\d+$/, '')) !== 0 ? places.length : 2;
}

async function ask({ client, address }: Place, { episodes, part = 0, parts = 0, ...request }: ScoringRequest): Promise<readonly EpisodeScoring[]> {
  await greeted(client, address);
  const { scores } = await callUnary(client.scoreEpisodes.bind(client), { ...request, part, parts, episodes: [...episodes] }, { boundary: 'scorer', timeoutMs: CALL_TIMEOUT_MS });
  return scores.map(({ episode, scored, failure }) => ({ episode, ...(scored && { scored }), ...(failure !== '' && { failure }) }));
}

/** UNAVAILABLE where nobody answers as the service. At once while the connection stands. */
function greeted(client: TeacherScoringServiceClient, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + GREETS_WITHIN_MS, (error) => {
      if (!error) return resolve();
      reject(new StemmaError('scorer', 'UNAVAILABLE', `teacher scoring at ${address} does not answer`, 'Is its process running, and does each side believe the other\'s certificate (STEMMA_TLS_CA_FILE)? It is asked again.', error));
    });
  });
}
