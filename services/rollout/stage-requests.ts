/**
 * What a stage asks for, as its stream has it. The stream grows by kilobytes a step and is asked about every few milliseconds: it is
 * folded once for all who ask here, and read on from where the last look ended.
 */
import { StemmaError } from '../../core/errors.js';
import { openFold, type Fold } from '../../core/log/fold.js';
import { stageStream } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import { lastCommitted, roundsOf, stageFold, type StageState } from '../../core/stage/stage.js';
import type { NewestWeights } from '../../core/stage/staleness.js';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { Shard, StageRef } from '../../workflows/activities.js';
import { coalesced } from '../runtime/coalesced.js';
import { readFold, readOn } from '../runtime/record-fact.js';
import { keepNewest } from './keep-newest.js';

const KEPT_STAGES = 8;

export interface OpenRounds {
  readonly committed: number;
  /** To train on, of steps that are not committed yet: of the next one and, where a stage asks ahead, of later ones. */
  readonly rounds: readonly EpisodesRequested[];
  readonly newest: NewestWeights;
}

export interface StageRequests {
  look(): Promise<OpenRounds>;
  /** The request a shard belongs to. NOT_FOUND if the stage asked for no such round. */
  find(shard: Shard): Promise<EpisodesRequested>;
}

/** Of a stage, the same reader for all. */
export function stageRequests(): (log: EventLog, ref: StageRef) => StageRequests {
  const stages = new Map<string, StageRequests>();
  return (log, ref) => {
    const stream = stageStream(ref.run, ref.stage);
    const requests = stages.get(stream) ?? requestsIn(log, stream);
    keepNewest(stages, stream, requests, KEPT_STAGES);
    return requests;
  };
}

function requestsIn(log: EventLog, stream: string): StageRequests {
  const folded = openFold(stageFold);
  const latest = coalesced(async () => {
    await readOn(log, stream, folded);
    return folded.state;
  });
  return {
    look: async () => openRounds(await latest()),
    async find(shard) {
      const { step, round } = shard;
      const open = roundsOf(folded.state, step)[round] ?? roundsOf(await latest(), step)[round];
      // A shard of a committed step: let go by the fold, and rare.
      const requested = open ?? (await readFold(log, stream, requestOf(shard))).state;
      if (requested !== undefined) return requested;
      throw new StemmaError('log', 'NOT_FOUND', `stage ${shard.stage} of run ${shard.run} requested no episodes in step ${step}, round ${round}`,
        'Shards come from the stage\'s own requests: run the stage instead of the activity.');
    },
  };
}

function openRounds(state: StageState): OpenRounds {
  return {
    committed: state.committed.length,
    rounds: [...state.requests.values()].flat().filter(({ purpose }) => purpose === 'train'),
    newest: { committed: lastCommitted(state)?.weightsHash, published: state.published.at(-1) },
  };
}

/** The first request of a round is the request. */
function requestOf({ step, round }: Shard): Fold<EpisodesRequested | undefined> {
  return {
    initial: () => undefined,
    evolve: (found, payload) =>
      found ?? (payload.$case === 'episodesRequested' && payload.value.step === step && payload.value.round === round ? payload.value : undefined),
  };
}
