/** One step of the fold: close the batch, take the step, commit it, and a snapshot when due. */
import type { ClosedBatch } from '../../core/batch/batch.js';
import { learningRateAt } from '../../core/loss/learning-rate.js';
import { stepFigures } from '../../core/projection/figures.js';
import type { StepResult, TrainerState } from '../../core/ports.js';
import type { StageRecipe } from '../../core/recipe/recipe.js';
import { Batch, StepSettings } from '../../proto/gen/stemma/v1/data.js';
import type { BatchClosed, BlobRef, Stat } from '../../proto/gen/stemma/v1/events.js';
import { canonicalJson, sha256Hex } from '../runtime/canonical-json.js';
import { inSpan } from '../runtime/tracing/spans.js';
import { ensureTrainer } from './recover.js';
import type { StageSession, TrainingDeps } from './session.js';
import { stepInput } from './step-input.js';

export interface Closing {
  readonly step: number;
  readonly recipe: StageRecipe;
  readonly closed: ClosedBatch;
  readonly policyWeightsHashes: readonly string[];
  readonly teacherWeightsHashes: { readonly [domain: string]: string };
  /** Usable episodes that are in no batch, and why. */
  readonly dropped?: readonly { readonly episode: string; readonly reason: string }[];
}

/** Durable before its gradient. What was left out is said before it, in the same append: whoever finds the batch closed finds that too. */
export async function recordBatch(deps: TrainingDeps, session: StageSession, closing: Closing): Promise<void> {
  await deps.metrics.timed(session.recipe.kind, 'close', () => closeBatch(deps, session, closing));
}

async function closeBatch(deps: TrainingDeps, session: StageSession, closing: Closing): Promise<void> {
  const { step, recipe, closed } = closing;
  const batch = await deps.blobs.put(Batch.encode(closed.batch).finish());
  const settingsJson = canonicalJson(StepSettings.toJSON(stepSettings(recipe, step)));
  const value: BatchClosed = {
    step, batch, members: closed.members,
    batchId: batchIdOf(session.ref.stage, step, batch.sha256),
    settingsJson, settingsHash: sha256Hex(settingsJson),
    policyWeightsHashes: [...closing.policyWeightsHashes],
    teacherWeightsHashes: { ...closing.teacherWeightsHashes },
    amendments: session.run.amendments.length,
  };
  await session.stage.record(...(closing.dropped ?? []).map((drop) => ({ $case: 'episodeDropped' as const, value: drop })), { $case: 'batchClosed', value });
}

export function batchIdOf(stage: string, step: number, batchSha256: string): string {
  return sha256Hex(`${stage}\n${step}\n${batchSha256}`);
}

export function stepSettings(recipe: StageRecipe, step: number): StepSettings {
  const { optimizer } = recipe;
  return {
    learningRate: learningRateAt(step - 1, recipe.steps, optimizer),
    beta1: optimizer.beta1, beta2: optimizer.beta2, epsilon: optimizer.epsilon,
    weightDecay: optimizer.weightDecay, maxGradientNorm: optimizer.maxGradientNorm,
  };
}

/** Takes the step whose batch is closed and commits it. `extra`: figures of the episodes behind the batch. */
export async function commitStep(
  deps: TrainingDeps, session: StageSession, state: TrainerState, extra: readonly Stat[],
): Promise<TrainerState> {
  const taken = await takeStep(deps, session, state);
  await recordStep(deps, session, taken, extra);
  return taken.result;
}

export interface TakenStep {
  readonly closed: BatchClosed;
  readonly parent: TrainerState;
  readonly result: StepResult;
}

export async function takeStep(deps: TrainingDeps, session: StageSession, parent: TrainerState): Promise<TakenStep> {
  const closed = session.stage.state.closed.get(parent.step + 1);
  const batch = closed?.batch;
  if (!batch) throw new Error(`step ${parent.step + 1} has no closed batch`);
  const result = await inSpan('learn', { about: { ...session.ref, step: closed.step } }, () => deps.metrics.timed(session.recipe.kind, 'step', () => deps.trainer.step(stepInput(parent, closed, batch))));
  return { closed, parent, result };
}

export function snapshotIsDue(session: StageSession, step: number): boolean {
  return step % session.context.recipe.snapshots.everySteps === 0;
}

/** A snapshot, when due, is of what the trainer holds: no further step may be taken before this resolves. */
export async function recordStep(
  deps: TrainingDeps, session: StageSession, { closed, parent, result }: TakenStep, extra: readonly Stat[],
): Promise<void> {
  const spent = await deps.stopwatch.lap(result.busySeconds);
  const stats = [...result.stats, ...byDomain(closed, result.sampleStats), ...extra];
  await deps.metrics.timed(session.recipe.kind, 'commit', () => session.stage.record({
    $case: 'stepCommitted',
    value: {
      step: closed.step, batchId: closed.batchId, parentStateHash: parent.stateHash,
      stateHash: result.stateHash, weightsHash: result.weightsHash, spent, stats,
    },
  }));
  session.figures = stepFigures(stats);
  if (snapshotIsDue(session, closed.step)) await takeSnapshot(deps, session, result);
}

async function takeSnapshot(deps: TrainingDeps, session: StageSession, state: TrainerState): Promise<void> {
  const snapshot = await deps.metrics.timed(session.recipe.kind, 'snapshot', () => deps.trainer.snapshot(state.stateHash));
  await session.stage.record({
    $case: 'snapshotTaken',
    value: { step: state.step, stateHash: state.stateHash, weightsHash: state.weightsHash, snapshot },
  });
}

/** The last step's weights as a blob that samplers, teachers and later stages load. */
export async function publishResult(deps: TrainingDeps, session: StageSession): Promise<void> {
  await publish(deps, session, await ensureTrainer(deps, session));
}

export interface Policy {
  readonly weightsHash: string;
  readonly weights?: BlobRef;
}

/**
 * What a rollout request names as its policy: the hash alone where samplers share the trainer's process, a published blob
 * besides where they do not (docs/decisions/publishing-each-step.md).
 */
export async function policyOf(deps: TrainingDeps, session: StageSession, state: TrainerState): Promise<Policy> {
  const { weightsHash } = state;
  if (deps.samplers === 'beside-trainer') return { weightsHash };
  const { parent } = session;
  if (parent.weights && parent.weightsHash === weightsHash) return { weightsHash, weights: parent.weights };
  return { weightsHash, weights: await publish(deps, session, state) };
}

async function publish(deps: TrainingDeps, session: StageSession, { step, weightsHash }: TrainerState): Promise<BlobRef> {
  const known = session.stage.state.published.find((p) => p.step === step)?.weights;
  if (known && await deps.blobs.has(known)) return known;
  const weights = await deps.metrics.timed(session.recipe.kind, 'publish', () => deps.trainer.publishWeights(weightsHash));
  // Collected since, as a fork may find what it shares: the same bytes, and said already.
  if (known) return weights;
  await session.stage.record({ $case: 'policyPublished', value: { step, weightsHash, weights } });
  return weights;
}

/** Per-sample figures summed by domain: "coverage.search", "loss.tools", … */
function byDomain(closed: BatchClosed, sampleStats: readonly (readonly Stat[])[]): Stat[] {
  const sums = new Map<string, Stat>();
  sampleStats.forEach((stats, i) => {
    const domain = closed.members[i]?.domain ?? 'unknown';
    for (const stat of stats) {
      const name = `${stat.name}.${domain}`;
      const sum = sums.get(name) ?? { name, sum: 0, count: 0 };
      sums.set(name, { name, sum: sum.sum + stat.sum, count: sum.count + stat.count });
    }
  });
  return [...sums.values()];
}
