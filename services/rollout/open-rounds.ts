/** What a stage asks for now: the training rounds of steps that are not committed yet, read on from the last look, and its newest weights. */
import { openFold, type Fold } from '../../core/log/fold.js';
import { stageStream } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import type { NewestWeights } from '../../core/stage/staleness.js';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { StageRef } from '../../workflows/activities.js';
import { keepNewest } from './keep-newest.js';

const KEPT_STAGES = 8;

export interface OpenRounds {
  readonly committed: number;
  /** Of step committed + 1 and, where a stage asks ahead, of later ones; in the order requested. */
  readonly rounds: readonly EpisodesRequested[];
  readonly newest: NewestWeights;
}

export interface OpenRoundsReader {
  /** Many callers share one read. */
  look(log: EventLog, ref: StageRef): Promise<OpenRounds>;
}

export function createOpenRounds(): OpenRoundsReader {
  const stages = new Map<string, StageReader>();
  return {
    look(log, ref) {
      const stream = stageStream(ref.run, ref.stage);
      const reader = stages.get(stream) ?? new StageReader(stream);
      keepNewest(stages, stream, reader, KEPT_STAGES);
      return reader.look(log);
    },
  };
}

class StageReader {
  private readonly folded = openFold(openRoundsFold);
  private reading: Promise<OpenRounds> | undefined;

  constructor(private readonly stream: string) {}

  look(log: EventLog): Promise<OpenRounds> {
    this.reading ??= this.readOn(log).finally(() => { this.reading = undefined; });
    return this.reading;
  }

  private async readOn(log: EventLog): Promise<OpenRounds> {
    for (const { event, position } of await log.readStream(this.stream, this.folded.nextPosition)) this.folded.add(event, position);
    return this.folded.state;
  }
}

const openRoundsFold: Fold<OpenRounds> = {
  initial: () => ({ committed: 0, rounds: [], newest: {} }),
  evolve(state, payload) {
    switch (payload.$case) {
      case 'stepCommitted': {
        const { step, weightsHash } = payload.value;
        if (step !== state.committed + 1) return state;
        return { committed: step, rounds: state.rounds.filter((round) => round.step > step), newest: { ...state.newest, committed: weightsHash } };
      }
      case 'policyPublished': {
        const { weightsHash, weights } = payload.value;
        return { ...state, newest: { ...state.newest, published: { weightsHash, weights } } };
      }
      case 'episodesRequested': return withRound(state, payload.value);
      default: return state;
    }
  },
};

function withRound(state: OpenRounds, asked: EpisodesRequested): OpenRounds {
  if (asked.purpose !== 'train' || asked.step <= state.committed) return state;
  const known = state.rounds.some(({ step, round }) => step === asked.step && round === asked.round);
  return known ? state : { ...state, rounds: [...state.rounds, asked] };
}
