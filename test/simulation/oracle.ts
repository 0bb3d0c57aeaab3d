/** What must hold of a log whatever happened while it was written. Stands outside: it reads what is durable, through honest folds. */
import { runViewOf } from '../../core/projection/run-view.js';
import { checkLedger } from '../../core/projection/ledger.js';
import type { RunView } from '../../core/projection/run-view.js';
import type { EventLog, RunLogs, Trainer } from '../../core/ports.js';
import { replayRun } from '../../services/replay/replay-run.js';
import { createRunContexts } from '../../services/runtime/run-context.js';
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

export interface Evidence {
  readonly store: MemoryStore;
  readonly blobs: MemoryBlobs;
  readonly acknowledged: ReadonlySet<string>;
}

/** Violations in words; empty when all is well. */
export async function violations(evidence: Evidence, expected: Outcome | undefined): Promise<string[]> {
  const { store, acknowledged } = evidence;
  const view = runViewOf(store.all());
  const lost = [...acknowledged].filter((id) => !store.has(id));
  const outcome = outcomeOf(view);
  const different = expected === undefined ? [] : outcome.filter((line, at) => line !== expected[at]);
  return [
    ...(lost.length > 0 ? [`${lost.length} acknowledged events are not in the log`] : []),
    ...checkLedger(view),
    ...scoreViolations(view),
    ...(expected !== undefined && (different.length > 0 || outcome.length !== expected.length) ? [`another outcome than undisturbed: ${different[0] ?? 'facts are missing'}`] : []),
    ...(await replayViolations(evidence)),
  ];
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

async function replayViolations({ store, blobs }: Evidence): Promise<string[]> {
  const run = 'simulated';
  const logs: RunLogs = openMemoryLogs(new Map([[run, store]]));
  const context = await createRunContexts(logs, blobStore(blobs)).get(run);
  const report = await replayRun({ trainer: trainerOf(new Sidecar(blobs)), blobs: blobStore(blobs) }, { ...context, log: context.log satisfies EventLog });
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
