/**
 * Activities over facts in memory, for tests of the workflows: idempotent like the real ones, and like them they outlive Temporal.
 * A script makes them fail; a watcher sees each call.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { StemmaError } from '../../core/errors.js';
import type { HostedActivities } from '../../services/worker/worker.js';
import type { ControlFact, RunPlan, Shard, StageNeeds, StagePlan, StageRef } from '../../workflows/activities.js';

export const STAGES: readonly StagePlan[] = [
  { id: 'sft', kind: 'sft', evaluate: true, steps: 4 },
  { id: 'rl-search', kind: 'rl', domain: 'search', evaluate: false, steps: 3 },
  { id: 'distill', kind: 'distill', evaluate: true, steps: 2 },
];

const SHARDS_PER_STEP = 2;
const EPISODES_PER_SHARD = 16;

interface StageFacts {
  started: boolean;
  finished: boolean;
  evaluated: boolean;
  committed: number;
  rolledOut: Set<string>;
}

export interface Facts {
  readonly stages: Map<string, StageFacts>;
  readonly controls: Map<string, ControlFact>;
  /** In order; a stage appears once a step. */
  readonly steps: string[];
  end: string | undefined;
}

export interface Script {
  /** Called at the start of each activity; may wait or throw. */
  readonly on?: (call: { name: string; stage: string; step: number }) => Promise<void> | void;
  readonly weightsMissing?: (shard: Shard) => boolean;
  readonly stages?: readonly StagePlan[];
}

export interface InMemoryRun {
  readonly facts: Facts;
  readonly activities: HostedActivities;
}

export function inMemoryRun(script: Script = {}): InMemoryRun {
  const facts: Facts = { stages: new Map(), controls: new Map(), steps: [], end: undefined };
  const stages = script.stages ?? STAGES;
  const note = async (name: string, stage = '', step = 0): Promise<void> => { await script.on?.({ name, stage, step }); };

  const advance = (name: string) => async (ref: StageRef, standing?: boolean): Promise<StageNeeds> => {
    const stage = stageFacts(facts, ref.stage);
    await note(name, ref.stage, stage.committed + 1);
    if (!stage.started) throw new StemmaError('log', 'NOT_FOUND', `stage ${ref.stage} has not started`, 'Start it.');
    const { steps, kind } = planOf(stages, ref.stage);
    if (kind === 'sft') return advanceSft(facts, ref, steps);
    if (standing) return advanceStanding(facts, ref, steps);
    const learns = owed(ref, stage, stage.committed + 1).length === 0;
    if (learns) commit(facts, ref);
    const figures = learns ? { figures: { reward: stage.committed / steps } } : {};
    if (stage.committed >= steps) return { kind: 'done', step: stage.committed, ...figures };
    return { kind: 'rollouts', step: stage.committed + 1, shards: owed(ref, stage, stage.committed + 1), ...figures };
  };

  return {
    facts,
    activities: {
      worker: {
        async startStage(ref) { await note('startStage', ref.stage); stageFacts(facts, ref.stage).started = true; },
        async finishStage(ref) { await note('finishStage', ref.stage); stageFacts(facts, ref.stage).finished = true; },
        async recordControl(fact) {
          await note('recordControl');
          if (fact.path === 'refused') throw new StemmaError('gateway', 'INVALID', 'the setting cannot be amended', 'Amend another.');
          facts.controls.set(fact.updateId, facts.controls.get(fact.updateId) ?? fact);
          return { effectiveStep: fact.action === 'amend' ? stageFacts(facts, fact.stage ?? '').committed + 2 : 0 };
        },
        async finishRun() { await note('finishRun'); facts.end ??= 'finished'; return { weightsHash: `after ${facts.steps.length} steps` }; },
        async stopRun(_run, reason) { await note('stopRun'); facts.end ??= `stopped: ${reason}`; },
        async failRun(_run, message, cause) { await note('failRun'); facts.end ??= `failed: ${cause?.code} of ${cause?.boundary}: ${message}`; },
      },
      learner: {
        async openRun(run, input): Promise<RunPlan> {
          await note('openRun');
          if (input.recipe === 'unknown') throw new StemmaError('recipe', 'NOT_FOUND', 'there is no recipe unknown', 'Use micro, tiny or agents-a1.');
          return { run, recipe: input.recipe, seed: input.seed ?? 1, stages, ...controlState(facts) };
        },
        advanceSft: advance('advanceSft'),
        advanceRl: advance('advanceRl'),
        async advanceEvaluation(ref) {
          const stage = stageFacts(facts, ref.stage);
          const step = planOf(stages, ref.stage).steps + 1;
          await note('advanceEvaluation', ref.stage, step);
          const shards = owed(ref, stage, step);
          stage.evaluated = shards.length === 0;
          return stage.evaluated ? { kind: 'done', step, figures: { accuracy: 0.5 } } : { kind: 'rollouts', step, shards };
        },
      },
      distiller: { advanceDistill: advance('advanceDistill') },
      rollout: {
        async rolloutShard(shard) {
          await note('rolloutShard', shard.stage, shard.step);
          if (script.weightsMissing?.(shard)) return { finished: 0, weightsMissing: true };
          stageFacts(facts, shard.stage).rolledOut.add(`${shard.step}/${shard.from}`);
          return { finished: shard.to - shard.from, weightsMissing: false };
        },
        async standRollouts({ slot, slots, ...ref }) {
          const stage = stageFacts(facts, ref.stage);
          await note('standRollouts', ref.stage, stage.committed + 1);
          const { steps } = planOf(stages, ref.stage);
          for (; stage.committed < steps; await delay(1)) {
            const own = owed(ref, stage, stage.committed + 1).filter(({ from }) => (from / EPISODES_PER_SHARD) % slots === slot);
            if (own.length === 0 && controlState(facts).paused) break;
            for (const { step, from } of own) stage.rolledOut.add(`${step}/${from}`);
          }
          return { over: stage.committed >= steps };
        },
      },
    },
  };
}

function stageFacts(facts: Facts, stage: string): StageFacts {
  const known = facts.stages.get(stage) ?? { started: false, finished: false, evaluated: false, committed: 0, rolledOut: new Set<string>() };
  facts.stages.set(stage, known);
  return known;
}

function planOf(stages: readonly StagePlan[], id: string): StagePlan {
  const stage = stages.find((s) => s.id === id);
  if (!stage) throw new Error(`no stage ${id}`);
  return stage;
}

function commit(facts: Facts, { stage }: StageRef): void {
  const known = stageFacts(facts, stage);
  known.committed += 1;
  facts.steps.push(`${stage}/${known.committed}`);
}

/** Two steps an activity, as the real one takes many. */
function advanceSft(facts: Facts, ref: StageRef, steps: number): StageNeeds {
  const stage = stageFacts(facts, ref.stage);
  for (let i = 0; i < 2 && stage.committed < steps; i += 1) commit(facts, ref);
  const figures = { loss: 1 / stage.committed };
  return stage.committed >= steps ? { kind: 'done', step: stage.committed, figures } : { kind: 'advance', step: stage.committed, figures };
}

/** Waits for its standing rollouts, and returns where someone pauses. */
async function advanceStanding(facts: Facts, ref: StageRef, steps: number): Promise<StageNeeds> {
  const stage = stageFacts(facts, ref.stage);
  for (; stage.committed < steps; await delay(1)) {
    if (owed(ref, stage, stage.committed + 1).length > 0) continue;
    commit(facts, ref);
    if (controlState(facts).paused) return { kind: 'advance', step: stage.committed + 1 };
  }
  return { kind: 'done', step: stage.committed };
}

function owed(ref: StageRef, stage: StageFacts, step: number): Shard[] {
  return Array.from({ length: SHARDS_PER_STEP }, (_, i) => ({ ...ref, step, round: 0, from: i * EPISODES_PER_SHARD, to: (i + 1) * EPISODES_PER_SHARD }))
    .filter((shard) => !stage.rolledOut.has(`${step}/${shard.from}`));
}

function controlState(facts: Facts): { paused: boolean; stopped: boolean } {
  let paused = false;
  let stopped = facts.end !== undefined;
  for (const { action } of facts.controls.values()) {
    if (action === 'pause') paused = true;
    if (action === 'resume') paused = false;
    if (action === 'stop') stopped = true;
  }
  return { paused, stopped };
}
