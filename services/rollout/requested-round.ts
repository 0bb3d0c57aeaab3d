/** The request a shard belongs to, read once however many shards it has. */
import { StemmaError } from '../../core/errors.js';
import { stageStream } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import { roundsOf, stageFold } from '../../core/stage/stage.js';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { Shard } from '../../workflows/activities.js';
import { readFold } from '../runtime/record-fact.js';

/** Rounds of the recent steps; the shards of one round run at about the same time. */
const KEPT_ROUNDS = 32;

export interface RequestedRounds {
  /** NOT_FOUND if the stage asked for no such round. */
  get(log: EventLog, shard: Shard): Promise<EpisodesRequested>;
}

export function createRequestedRounds(): RequestedRounds {
  const cache = new Map<string, Promise<EpisodesRequested>>();
  return {
    get(log, shard) {
      const key = JSON.stringify([shard.run, shard.stage, shard.step, shard.round]);
      const known = cache.get(key) ?? readRound(log, shard);
      cache.delete(key);
      cache.set(key, known);
      known.catch(() => cache.delete(key));
      for (const oldest of cache.keys()) {
        if (cache.size <= KEPT_ROUNDS) break;
        cache.delete(oldest);
      }
      return known;
    },
  };
}

async function readRound(log: EventLog, { run, stage, step, round }: Shard): Promise<EpisodesRequested> {
  const { state } = await readFold(log, stageStream(run, stage), stageFold);
  const requested = roundsOf(state, step)[round]?.request;
  if (requested !== undefined) return requested;
  throw new StemmaError('log', 'NOT_FOUND', `stage ${stage} of run ${run} requested no episodes in step ${step}, round ${round}`,
    'Shards come from the stage\'s own requests: run the stage instead of the activity.');
}
