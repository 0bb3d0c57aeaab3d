/**
 * A fork: a new run that shares its parent's history up to a committed step and then goes its own way.
 * Shared facts are copied under the fork's own streams, so a fork is a run like any other: it is folded, recovered,
 * audited and replayed from its own log. Blobs are shared by their hash; the copied facts name them, which pins them.
 */
import type { Event, RunForked } from '../../proto/gen/stemma/v1/events.js';
import { StemmaError } from '../errors.js';
import type { Fold, Payload } from '../log/fold.js';
import type { StageRecipe } from '../recipe/recipe.js';
import type { StageState } from '../stage/stage.js';
import type { RunState } from './run.js';

export interface ForkAt {
  readonly parent: string;
  readonly stage: string;
  /** The last shared step; 0: the start of the stage. */
  readonly step: number;
}

/** The events that count, in stream order. */
export const countedEvents: Fold<Event[]> = {
  initial: () => [],
  evolve(events, _payload, event) {
    events.push(event);
    return events;
  },
};

/** What the fork's first event says. INVALID where the parent has not come to that step. `position`: of the step's commit in the parent's stage stream. */
export function forkedFrom(at: ForkAt, run: RunState, { stage, position }: { readonly stage: StageState; readonly position: number }): Omit<RunForked, 'by' | 'origin'> {
  const start = run.stages.get(at.stage)?.started.parent;
  const commit = stage.committed[at.step - 1];
  if (start === undefined) {
    throw new StemmaError('gateway', 'INVALID', `run ${at.parent} has not started stage ${at.stage}`, `Stages that it has started: ${[...run.stages.keys()].join(', ') || 'none'}.`);
  }
  const point = { parentRun: at.parent, stage: at.stage, step: at.step };
  if (at.step === 0) return { ...point, position: 0n, stateHash: '', weightsHash: start.weightsHash };
  if (commit === undefined) {
    throw new StemmaError('gateway', 'INVALID', `run ${at.parent} cannot be forked at step ${at.step} of ${at.stage}: it has committed ${stage.committed.length}`,
      `Fork at a step from 0 to ${stage.committed.length}.`);
  }
  return { ...point, position: BigInt(position), stateHash: commit.stateHash, weightsHash: commit.weightsHash };
}

/** Stages before the forked one in the recipe are shared whole. */
export function stagesBefore(stages: readonly StageRecipe[], stage: string): string[] {
  return stages.slice(0, stages.findIndex(({ id }) => id === stage)).map(({ id }) => id);
}

/** Of the parent's run stream: all but its end, who paused it, and what came of the forked stage and later ones. */
export function isSharedByRun(payload: Payload, at: ForkAt, before: ReadonlySet<string>): boolean {
  switch (payload.$case) {
    case 'runCreated': case 'settingAmended': return true;
    case 'stageStarted': return payload.value.stage === at.stage || before.has(payload.value.stage);
    case 'stageFinished': case 'evaluationFinished': return before.has(payload.value.stage);
    default: return false;
  }
}

/** Of the forked stage's stream: facts about steps up to the shared one. What was in flight is the parent's alone. */
export function sharedByStage(events: readonly Event[], step: number): Event[] {
  const shared = new Set<string>();
  for (const { payload } of events) {
    if (payload?.$case === 'episodesRequested' && payload.value.step <= step) for (const { episode } of payload.value.episodes) shared.add(episode);
  }
  return events.filter(({ payload }) => {
    switch (payload?.$case) {
      case 'episodesRequested': case 'batchClosed': case 'stepCommitted': case 'snapshotTaken': case 'policyPublished': return payload.value.step <= step;
      case 'episodeDropped': return shared.has(payload.value.episode);
      case 'datasetSealed': return true;
      default: return false;
    }
  });
}
