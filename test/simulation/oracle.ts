/** What must hold of a log whatever happened while it was written. Stands outside: it reads what is durable, through honest folds. */
import { runViewOf } from '../../core/projection/run-view.js';
import { checkLedger } from '../../core/projection/ledger.js';
import { modelFindings } from '../../core/projection/ledger-models.js';
import type { RunView } from '../../core/projection/run-view.js';
import type { Trainer } from '../../core/ports.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import { stageAt } from '../../core/run/amend.js';
import { StepSettings } from '../../proto/gen/stemma/v1/data.js';
import { replayRun } from '../../services/replay/replay-run.js';
import { canonicalJson } from '../../services/runtime/canonical-json.js';
import { createRunContexts, type RunContext } from '../../services/runtime/run-context.js';
import { stepSettings } from '../../services/training/learn-step.js';
import type { MemoryBlobs } from './memory-blobs.js';
import { openMemoryLogs, type MemoryStore } from './memory-logs.js';
import { Sidecar } from './sidecar.js';

/** What a run came to: every step with its batch and its weights, in words. */
export type Outcome = readonly string[];

export function outcomeOf({ run, stages }: RunView): Outcome {
  return [
    ...[...stages].flatMap(([stage, { committed, closed }]) => [
      ...closed.map(({ step, batchId }) => `${stage} step ${step} batch ${batchId}`),
      ...committed.map(({ step, batchId, weightsHash, stateHash }) => `${stage} step ${step} learned ${batchId}: weights ${weightsHash}, state ${stateHash}`),
    ]),
    ...[...run.stages].map(([stage, { evaluation }]) => `${stage} accuracy ${JSON.stringify(evaluation?.accuracy.map(({ domain, correct, total }) => [domain, correct, total]))}`),
    `end ${JSON.stringify(run.end)}`,
  ];
}

export interface Answered {
  /** Of the update. */
  readonly id: string;
  /** Of an amendment: the first step it was promised for. */
  readonly effectiveStep: number;
}

export interface Evidence {
  readonly run: string;
  readonly stores: ReadonlyMap<string, MemoryStore>;
  readonly blobs: MemoryBlobs;
  readonly acknowledged: ReadonlySet<string>;
  /** Requests that people were told are recorded. */
  readonly answered: readonly Answered[];
}

export interface Expectation {
  /** Where the run is a function of recipe and seed. */
  readonly outcome?: Outcome;
  /** What a fork shares. */
  readonly shared?: readonly string[];
}

/** Violations in words; empty when all is well. */
export async function violations(evidence: Evidence, expected: Expectation): Promise<string[]> {
  const { run, stores, acknowledged, answered, blobs } = evidence;
  const store = stores.get(run)!;
  const view = runViewOf(store.all());
  const logs = openMemoryLogs(new Map(stores));
  const context = await createRunContexts(logs, blobStore(blobs)).get(run);
  const lost = [...acknowledged].filter((id) => !store.has(id));
  const asked = new Set(store.all().map(({ event: { payload } }) => (payload !== undefined && 'updateId' in payload.value ? payload.value.updateId : '')));
  const unshared = (expected.shared ?? []).filter((fact) => !sharedFacts(store).includes(fact));
  return [
    ...(lost.length > 0 ? [`${lost.length} acknowledged events are not in the log`] : []),
    ...answered.filter(({ id }) => !asked.has(id)).map(({ id }) => `${id} was answered and is not in the log`),
    ...unshared.map((fact) => `${fact} is not shared with the parent`),
    ...checkLedger(view),
    ...modelFindings(view, context.manifest).map(({ what }) => what),
    ...scoreViolations(view),
    ...settingsViolations(view, context.recipe),
    ...promiseViolations(view, answered),
    ...endViolations(view),
    ...outcomeViolations(view, expected.outcome),
    ...(await replayViolations(evidence, context)),
  ];
}

/** Commits of a run by who made them: a fork has those of its parent, not its own of the same steps. */
export function sharedFacts(store: MemoryStore): string[] {
  return store.all().flatMap(({ event: { stream, claim, payload } }) =>
    (payload?.$case === 'stepCommitted' ? [`step ${payload.value.step} of ${stream.split('/')[2]} under claim ${claim}`] : []));
}

/** What a person was told of an amendment: from that step on every batch was closed by who had read it. */
function promiseViolations({ run, stages }: RunView, answered: readonly Answered[]): string[] {
  return answered.flatMap(({ id, effectiveStep }) => {
    const at = run.amendments.findIndex(({ updateId }) => updateId === id);
    const closed = stages.get(run.amendments[at]?.stage ?? '')?.closed ?? [];
    return closed.filter(({ step, amendments = 0 }) => at >= 0 && step >= effectiveStep && amendments <= at)
      .map(({ step }) => `step ${step} was closed without ${id}, which was promised from step ${effectiveStep} on`);
  });
}

/** Every step learned with the settings that the recipe and its amendments give that step. */
function settingsViolations({ run, stages }: RunView, recipe: Recipe): string[] {
  return recipe.stages.flatMap((stage) => (stages.get(stage.id)?.closed ?? []).filter(({ step, settingsJson, amendments }) =>
    settingsJson !== canonicalJson(StepSettings.toJSON(stepSettings(stageAt(stage, step, run.amendments.slice(0, amendments)), step))))
    .map(({ step }) => `step ${step} of ${stage.id} was closed with other settings than hold for it`));
}

function endViolations({ run: { end, stopRequested } }: RunView): string[] {
  if (end?.status === 'finished' || (end?.status === 'stopped' && stopRequested)) return [];
  return [`the run ended as ${JSON.stringify(end)}${stopRequested ? ', a stop was requested' : ''}`];
}

/** The same steps as undisturbed; of a stopped run, some of them; of one whose settings were changed, nothing is known. */
function outcomeViolations(view: RunView, expected: Outcome | undefined): string[] {
  if (expected === undefined || view.run.amendments.length > 0) return [];
  const outcome = outcomeOf(view);
  const stopped = view.run.end?.status === 'stopped';
  const different = stopped ? outcome.filter((line) => line.includes(' step ') && !expected.includes(line)) : outcome.filter((line, at) => line !== expected[at]);
  if (different.length === 0 && (stopped || outcome.length === expected.length)) return [];
  return [`another outcome than undisturbed: ${different[0] ?? 'facts are missing'}`];
}

/** Every member that a model scored has a score that counts, of the model that its batch names. */
function scoreViolations({ stages, episodes }: RunView): string[] {
  return [...stages.values()].flatMap(({ closed }) => closed).flatMap((batch) => batch.members
    .filter(({ member, domain }) => {
      const scores = episodes.get(member)?.scores ?? [];
      const teacher = batch.teacherWeightsHashes[domain];
      if (teacher !== undefined) return !scores.some((score) => score.purpose === 'teacher' && score.scorerWeightsHash === teacher);
      return batch.policyWeightsHashes.length > 0 && !scores.some((score) => score.purpose === 'reference');
    })
    .map(({ member }) => `episode ${member} was trained on without a score that counts`));
}

async function replayViolations({ blobs }: Evidence, context: RunContext): Promise<string[]> {
  const report = await replayRun({ trainer: trainerOf(new Sidecar(blobs)), blobs: blobStore(blobs) }, context);
  return report.verdict === 'IDENTICAL' ? [] : [`replay ${report.verdict}: ${report.difference ?? ''}`];
}

export function blobStore(blobs: MemoryBlobs) {
  return {
    put: (bytes: Uint8Array) => Promise.resolve(blobs.put(bytes)),
    get: async (ref: Parameters<MemoryBlobs['get']>[0]) => blobs.get(ref),
    has: (ref: Parameters<MemoryBlobs['has']>[0]) => Promise.resolve(blobs.has(ref)),
  };
}

/** The sidecar called at once. */
export function trainerOf(sidecar: Sidecar): Trainer {
  return {
    status: async () => sidecar.status(),
    trainTokenizer: async (corpus) => sidecar.trainTokenizer(corpus),
    initializeModel: async (config, seed) => sidecar.initializeModel(config, seed),
    restore: async (source) => sidecar.restore(source),
    step: async (input) => sidecar.step(input),
    snapshot: async (hash) => sidecar.snapshot(hash),
    publishWeights: async (hash) => sidecar.publishWeights(hash),
    export: () => Promise.reject(new Error('nothing is exported in a simulation')),
  };
}
