/**
 * Where runs stand, as metrics: status, planned steps, accuracy, routing, and what a crash would cost now. Folded from the log
 * and the recipe at each scrape, like the learning figures.
 */
import type { Gauge, Registry } from 'prom-client';
import { committedSteps } from '../../core/projection/curves.js';
import { accuracyRows, evaluationOwed, statusOf, type RunStatus } from '../../core/projection/progress.js';
import type { RunView } from '../../core/projection/run-view.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import { registerLearningMetrics } from './learning-metrics.js';
import { gauge } from './metrics.js';

/** A run as this process follows it. */
export interface WatchedRun {
  readonly view: RunView;
  /** Undefined until it has been read. */
  readonly recipe: Pick<Recipe, 'stages' | 'teachers'> | undefined;
  /** Seconds since the view was last known to hold all that was acknowledged. */
  readonly ageSeconds: number;
}

type RunLabel = 'run';
type StageLabel = RunLabel | 'stage';

interface Instruments {
  readonly status: Gauge<RunLabel | 'status'>;
  readonly failed: Gauge<RunLabel | 'boundary' | 'code'>;
  readonly running: Gauge<StageLabel | 'kind'>;
  readonly planned: Gauge<StageLabel>;
  readonly accuracy: Gauge<StageLabel | 'domain'>;
  readonly teacher: Gauge<RunLabel | 'domain' | 'teacher'>;
  readonly unsavedSteps: Gauge<StageLabel>;
  readonly unsavedSeconds: Gauge<StageLabel>;
  readonly age: Gauge<RunLabel>;
}

const STATUSES: readonly RunStatus[] = ['submitted', 'running', 'paused', 'stopping', 'finished', 'failed', 'stopped'];

/** Learning figures included: both are folded from the same views. */
export function registerRunMetrics(registry: Registry, runs: () => readonly WatchedRun[]): void {
  registerLearningMetrics(registry, () => runs().map(({ view }) => view));
  const stage = ['run', 'stage'] as const;
  const instruments: Instruments = {
    // First, because a scrape reads in the order of registration and this one's collect fills the others.
    status: gauge(registry, { name: 'stemma_run_status', help: '1 for the status that a run has, 0 for the others.', labels: ['run', 'status'], collect: () => fill(instruments, runs()) }),
    failed: gauge(registry, { name: 'stemma_run_failed', help: '1 for a run that failed, by the boundary and the code of its error.', labels: ['run', 'boundary', 'code'] }),
    running: gauge(registry, { name: 'stemma_run_stage_running', help: '1 while a stage or its evaluation runs, 0 when it is over.', labels: [...stage, 'kind'] }),
    planned: gauge(registry, { name: 'stemma_run_planned_steps', help: 'Steps that the recipe has a stage take.', labels: stage }),
    accuracy: gauge(registry, { name: 'stemma_run_accuracy_ratio', help: 'Greedy accuracy of a stage\'s result on held-out tasks.', labels: [...stage, 'domain'] }),
    teacher: gauge(registry, { name: 'stemma_run_teacher', help: '1 for the stage whose result teaches a domain in distillation; teacher "none": the domain is left out.', labels: ['run', 'domain', 'teacher'] }),
    unsavedSteps: gauge(registry, { name: 'stemma_run_unsaved_steps', help: 'Committed steps of a running stage after its newest snapshot: what a recovery computes again.', labels: stage }),
    unsavedSeconds: gauge(registry, { name: 'stemma_run_unsaved_seconds', help: 'Wall seconds that the steps after the newest snapshot took: the age of the snapshot in work.', labels: stage }),
    age: gauge(registry, { name: 'stemma_run_view_age_seconds', help: 'How far this process\'s read model of a run lags behind its log: seconds since it last held all of it.', labels: ['run'] }),
  };
}

function fill(to: Instruments, runs: readonly WatchedRun[]): void {
  for (const instrument of Object.values(to) as Gauge[]) instrument.reset();
  for (const watched of runs) {
    const run = watched.view.run.created?.run;
    if (run !== undefined) fillRun(to, run, watched);
  }
}

function fillRun(to: Instruments, run: string, { view, recipe, ageSeconds }: WatchedRun): void {
  const current = statusOf(view.run);
  for (const status of STATUSES) to.status.set({ run, status }, status === current ? 1 : 0);
  if (view.run.end?.status === 'failed') to.failed.set({ run, boundary: view.run.end.boundary, code: view.run.end.code }, 1);
  if (view.run.end === undefined) to.age.set({ run }, ageSeconds);
  if (recipe !== undefined) fillPlan(to, run, recipe);
  for (const { stage, accuracyByDomain } of accuracyRows(view.run)) {
    for (const [domain, accuracy] of accuracyByDomain) to.accuracy.set({ run, stage, domain }, accuracy);
  }
  for (const [stage, { started, result }] of view.run.stages) fillStage(to, { run, stage }, { view, kind: started.kind, over: view.run.end !== undefined || result !== undefined });
}

function fillPlan(to: Instruments, run: string, { stages, teachers }: NonNullable<WatchedRun['recipe']>): void {
  for (const { id, steps } of stages) to.planned.set({ run, stage: id }, steps);
  for (const [domain, teacher] of Object.entries(teachers)) to.teacher.set({ run, domain, teacher }, 1);
}

interface StageAt {
  readonly view: RunView;
  readonly kind: string;
  readonly over: boolean;
}

function fillStage(to: Instruments, labels: { run: string; stage: string }, { view, kind, over }: StageAt): void {
  const evaluating = view.run.end === undefined && evaluationOwed(view, labels.stage);
  to.running.set({ ...labels, kind }, over && !evaluating ? 0 : 1);
  const facts = view.stages.get(labels.stage);
  const saved = Math.max(0, ...(facts?.snapshots ?? []).map(({ step }) => step));
  // Over, its result is a blob: nothing is computed again.
  const unsaved = over || facts === undefined ? [] : committedSteps(facts).filter(({ step }) => step > saved);
  to.unsavedSteps.set(labels, unsaved.length);
  to.unsavedSeconds.set(labels, unsaved.reduce((sum, { spent }) => sum + (spent?.wallSeconds ?? 0), 0));
}
