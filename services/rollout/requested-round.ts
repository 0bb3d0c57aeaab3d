/**
 * The request a shard belongs to. A stage's stream grows by kilobytes a step and every step asks: it is read on from
 * where the last look ended, and only requests of steps that are not committed are kept.
 */
import { StemmaError } from '../../core/errors.js';
import { openFold, type Fold, type OpenFold } from '../../core/log/fold.js';
import { stageStream } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { Shard } from '../../workflows/activities.js';
import { keepNewest } from './keep-newest.js';

const KEPT_STAGES = 8;

type Rounds = Map<string, EpisodesRequested>;

export interface RequestedRounds {
  /** NOT_FOUND if the stage asked for no such round. */
  get(log: EventLog, shard: Shard): Promise<EpisodesRequested>;
}

export function createRequestedRounds(): RequestedRounds {
  const stages = new Map<string, StageReader>();
  return {
    get(log, shard) {
      const stream = stageStream(shard.run, shard.stage);
      const reader = stages.get(stream) ?? new StageReader(stream);
      keepNewest(stages, stream, reader, KEPT_STAGES);
      return reader.find(log, shard);
    },
  };
}

class StageReader {
  private readonly open = openFold(openRounds);
  private reading: Promise<unknown> = Promise.resolve();

  constructor(private readonly stream: string) {}

  async find(log: EventLog, shard: Shard): Promise<EpisodesRequested> {
    const key = `${shard.step}/${shard.round}`;
    // One read at a time: each goes on where the one before ended.
    const caughtUp = this.reading.then(async () => {
      if (!this.open.state.has(key)) await this.readOn(log, this.open);
    });
    this.reading = caughtUp.catch(() => undefined);
    await caughtUp;
    const requested = this.open.state.get(key) ?? (await this.readOn(log, openFold(allRounds))).get(key);
    if (requested !== undefined) return requested;
    throw new StemmaError('log', 'NOT_FOUND', `stage ${shard.stage} of run ${shard.run} requested no episodes in step ${shard.step}, round ${shard.round}`,
      'Shards come from the stage\'s own requests: run the stage instead of the activity.');
  }

  private async readOn(log: EventLog, fold: OpenFold<Rounds>): Promise<Rounds> {
    for (const { event, position } of await log.readStream(this.stream, fold.nextPosition)) fold.add(event, position);
    return fold.state;
  }
}

/** By `step/round`; the first request of a round is the request. */
const allRounds: Fold<Rounds> = {
  initial: () => new Map(),
  evolve(rounds, payload) {
    if (payload.$case !== 'episodesRequested') return rounds;
    const key = `${payload.value.step}/${payload.value.round}`;
    if (!rounds.has(key)) rounds.set(key, payload.value);
    return rounds;
  },
};

const openRounds: Fold<Rounds> = {
  initial: allRounds.initial,
  evolve(rounds, payload, event) {
    if (payload.$case !== 'stepCommitted') return allRounds.evolve(rounds, payload, event);
    for (const [key, { step }] of rounds) if (step === payload.value.step) rounds.delete(key);
    return rounds;
  },
};
