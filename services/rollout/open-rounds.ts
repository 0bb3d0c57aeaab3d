/** What a stage asks for now: the training rounds of the step that is not committed yet, read on from the last look. */
import { openFold, type Fold } from '../../core/log/fold.js';
import { stageStream } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { StageRef } from '../../workflows/activities.js';
import { keepNewest } from './keep-newest.js';

const KEPT_STAGES = 8;

export interface OpenRounds {
  readonly committed: number;
  /** Of step committed + 1, in order. */
  readonly rounds: readonly EpisodesRequested[];
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
  initial: () => ({ committed: 0, rounds: [] }),
  evolve(state, payload) {
    if (payload.$case === 'stepCommitted' && payload.value.step === state.committed + 1) return { committed: payload.value.step, rounds: [] };
    if (payload.$case !== 'episodesRequested' || payload.value.purpose !== 'train' || payload.value.step !== state.committed + 1) return state;
    const known = state.rounds.some(({ round }) => round === payload.value.round);
    return known ? state : { ...state, rounds: [...state.rounds, payload.value] };
  },
};
