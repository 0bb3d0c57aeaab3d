/** Where a run stands, for people: status, stages, accuracy by stage, seconds, and what is going on now. */
import type { EvaluationFinished, Spent } from '../../proto/gen/stemma/v1/events.js';
import type { RunStage, RunState } from '../run/run.js';
import { committedSteps, curvesOf, type StageCurves } from './curves.js';
import { episodeCounts, type EpisodeCounts } from './episode-counts.js';
import { stageFactsFold, type StageFacts } from './facts.js';
import type { RunView } from './run-view.js';

/** A stage of the recipe: its steps are not in its events. */
export interface PlannedStage {
  readonly id: string;
  readonly kind: string;
  readonly steps: number;
}

export type RunStatus = 'submitted' | 'running' | 'paused' | 'stopping' | 'finished' | 'failed' | 'stopped';

export interface StageProgress {
  readonly stage: string;
  readonly kind: string;
  readonly status: 'planned' | 'running' | 'finished';
  /** Steps committed. */
  readonly step: number;
  /** Of the plan; undefined where none was given. */
  readonly steps: number | undefined;
  /** Of the last committed step. */
  readonly reward: number | undefined;
  readonly loss: number | undefined;
  readonly episodes: EpisodeCounts;
  readonly spent: SpentSeconds;
}

export interface SpentSeconds extends Spent {
  /** wall − compute − waiting: nothing computed and nothing waited for a tool or a person. */
  readonly orchestrationSeconds: number;
}

export interface AccuracyRow {
  /** Whose result was evaluated. */
  readonly stage: string;
  readonly weightsHash: string;
  readonly accuracyByDomain: ReadonlyMap<string, number>;
  /** Over domains. */
  readonly mean: number;
}

export interface RunProgress {
  readonly run: string;
  readonly recipe: string;
  readonly seed: bigint;
  readonly status: RunStatus;
  /** Why it failed or stopped; empty otherwise. */
  readonly detail: string;
  readonly stages: readonly StageProgress[];
  readonly accuracy: readonly AccuracyRow[];
  /** One clause a person reads, e.g. "teacher-search: step 5, 37 of 64 episodes ended". */
  readonly now: string;
  readonly spent: SpentSeconds;
}

/** `plan`: the recipe's stages, so that those to come and their step counts show. */
export function progressOf(view: RunView, plan: readonly PlannedStage[] = []): RunProgress {
  const { run } = view;
  const curves = new Map(curvesOf(view).map((stage) => [stage.stage, stage]));
  const planned = new Map(plan.map((stage) => [stage.id, stage]));
  const ids = [...new Set([...planned.keys(), ...run.stages.keys()])];
  const stages = ids.map((id) => stageProgress(view, curves.get(id), planned.get(id) ?? { id, kind: run.stages.get(id)?.started.kind ?? '' }));
  return {
    run: run.created?.run ?? '',
    recipe: run.created?.recipe ?? '',
    seed: run.created?.seed ?? 0n,
    status: statusOf(run),
    detail: run.end?.status === 'failed' ? run.end.message : run.end?.status === 'stopped' ? run.end.reason : '',
    stages,
    accuracy: accuracyRows(run),
    now: whatRuns(view),
    spent: addSpent(stages.map((stage) => stage.spent)),
  };
}

export function statusOf(run: RunState): RunStatus {
  if (run.end) return run.end.status;
  if (run.stopRequested) return 'stopping';
  if (run.paused) return 'paused';
  return run.stages.size > 0 ? 'running' : 'submitted';
}

function stageProgress(view: RunView, curves: StageCurves | undefined, planned: { id: string; kind: string; steps?: number }): StageProgress {
  const started = view.run.stages.get(planned.id);
  const steps = curves?.steps ?? [];
  const last = steps[steps.length - 1];
  return {
    stage: planned.id,
    kind: planned.kind,
    status: stageStatus(started),
    step: last?.step ?? 0,
    steps: planned.steps,
    reward: last?.reward,
    loss: last?.loss,
    episodes: episodeCounts(view, planned.id, view.stages.get(planned.id)?.requested ?? []),
    spent: addSpent([...steps.map((step) => step.spent), started?.evaluation?.spent]),
  };
}

function stageStatus(stage: RunStage | undefined): StageProgress['status'] {
  if (stage === undefined) return 'planned';
  return stage.result ? 'finished' : 'running';
}

export function accuracyRows(run: RunState): AccuracyRow[] {
  return [...run.stages.values()].flatMap(({ evaluation }) => (evaluation ? [accuracyRow(evaluation)] : []));
}

function accuracyRow({ stage, weightsHash, accuracy }: EvaluationFinished): AccuracyRow {
  const accuracyByDomain = new Map(accuracy.filter((row) => row.total > 0).map((row) => [row.domain, row.correct / row.total]));
  const values = [...accuracyByDomain.values()];
  return { stage, weightsHash, accuracyByDomain, mean: values.reduce((a, b) => a + b, 0) / Math.max(1, values.length) };
}

function whatRuns(view: RunView): string {
  const status = statusOf(view.run);
  if (status !== 'running' && status !== 'stopping') return status;
  const open = [...view.run.stages].filter(([stage, { result }]) => !result || evaluationOwed(view, stage));
  if (open.length === 0) return 'between stages';
  return open.map(([stage]) => `${stage}: ${stagePhase(view, stage, view.stages.get(stage) ?? stageFactsFold.initial())}`).join('; ');
}

export function evaluationOwed(view: RunView, stage: string): boolean {
  const asked = view.stages.get(stage)?.requested.some((request) => request.purpose === 'evaluate') ?? false;
  return asked && view.run.stages.get(stage)?.evaluation === undefined;
}

function stagePhase(view: RunView, stage: string, facts: StageFacts): string {
  const steps = committedSteps(facts);
  const committed = steps[steps.length - 1]?.step ?? 0;
  const closed = Math.max(0, ...facts.closed.map((batch) => batch.step));
  return closed > committed ? `step ${closed}, learning` : rolloutPhase(view, stage, facts) ?? `step ${committed + 1}, preparing`;
}

/** While the last requested episodes are owed; an evaluation until its result is recorded. */
function rolloutPhase(view: RunView, stage: string, facts: StageFacts): string | undefined {
  const request = facts.requested[facts.requested.length - 1];
  if (request === undefined) return undefined;
  const { requested, owed } = episodeCounts(view, stage, facts.requested.filter((other) => other.step === request.step && other.purpose === request.purpose));
  const label = { evaluate: 'evaluation', dataset: 'making its dataset' }[request.purpose] ?? `step ${request.step}`;
  if (owed > 0) return `${label}, ${requested - owed} of ${requested} episodes ended`;
  return request.purpose === 'evaluate' ? label : undefined;
}

function addSpent(parts: readonly (Spent | undefined)[]): SpentSeconds {
  const sum = (read: (part: Spent) => number): number => parts.reduce((total, part) => total + (part ? read(part) : 0), 0);
  const wallSeconds = sum((part) => part.wallSeconds);
  const computeSeconds = sum((part) => part.computeSeconds);
  const waitingSeconds = sum((part) => part.waitingSeconds);
  // Clocks of two processes: never show a negative rest.
  return { wallSeconds, computeSeconds, waitingSeconds, orchestrationSeconds: Math.max(0, wallSeconds - computeSeconds - waitingSeconds) };
}
