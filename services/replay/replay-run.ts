/**
 * R1, replay identity: every learner step of a run recomputed from its log.
 * IDENTICAL: the same hashes. DIFFERENT_FINGERPRINT: other device or libraries, a difference is expected.
 * DIVERGED: the same fingerprint and another hash, or a blob that is not what its name says: a bug or tampering, loud.
 */
import { StemmaError } from '../../core/errors.js';
import { runStream, stageStream } from '../../core/log/keys.js';
import type { BlobStore, Trainer, TrainerState } from '../../core/ports.js';
import { parentOf, runFold, type RunState } from '../../core/run/run.js';
import { stageFold } from '../../core/stage/stage.js';
import type { ModelState } from '../../proto/gen/stemma/v1/events.js';
import { compareFingerprints } from '../runtime/fingerprint.js';
import { readFold } from '../runtime/record-fact.js';
import type { RunContext } from '../runtime/run-context.js';
import { replayStep } from '../training/recover.js';

export type Verdict = 'IDENTICAL' | 'DIFFERENT_FINGERPRINT' | 'DIVERGED';

export interface ReplayReport {
  readonly verdict: Verdict;
  readonly steps: number;
  readonly stages: readonly { readonly stage: string; readonly steps: number; readonly weightsHash: string }[];
  /** Where it first differed, in words. */
  readonly difference?: string;
}

export interface ReplayDeps {
  readonly trainer: Trainer;
  readonly blobs: BlobStore;
  readonly onStep?: (stage: string, step: number, of: number) => void;
}

export async function replayRun(deps: ReplayDeps, context: RunContext): Promise<ReplayReport> {
  const { state: run } = await readFold(context.log, runStream(context.run), runFold);
  const { same: sameDevice } = compareFingerprints((await deps.trainer.status()).fingerprintJson, context.manifest.fingerprint);
  const stages: { stage: string; steps: number; weightsHash: string }[] = [];
  for (const { id } of context.recipe.stages) {
    const parent = run.stages.get(id)?.started.parent;
    if (!parent) break;
    try {
      const replayed = await replayStage(deps, context, id, parent);
      assertConnected(context, run, { id, ...replayed });
      stages.push(replayed);
    } catch (error) {
      const difference = differenceOf(error, id);
      const verdict = sameDevice || isTampered(error) ? 'DIVERGED' : 'DIFFERENT_FINGERPRINT';
      return { verdict, stages, steps: total(stages), difference };
    }
  }
  return { verdict: 'IDENTICAL', stages, steps: total(stages) };
}

/** Each stage starts from what the recipe says and ends in what the run published: a log whose stages do not connect proves nothing. */
function assertConnected(context: RunContext, run: RunState, replayed: { readonly id: string; readonly weightsHash: string }): void {
  const { id } = replayed;
  const init = context.recipe.stages.find((stage) => stage.id === id)?.init ?? '';
  const stage = run.stages.get(id);
  const refuse = (what: string): never => {
    throw new StemmaError('trainer', 'DIVERGED', what, 'The run stream was altered, or this is a bug.');
  };
  if (stage?.started.parent?.weightsHash !== parentOf(run, init, context.base)?.weightsHash) refuse(`it does not start from the result of ${init}`);
  if (stage?.result && stage.result.weightsHash !== replayed.weightsHash) refuse(`it recomputes to ${replayed.weightsHash.slice(0, 12)}, published is ${stage.result.weightsHash.slice(0, 12)}`);
}

async function replayStage(deps: ReplayDeps, context: RunContext, stage: string, parent: ModelState): Promise<{ stage: string; steps: number; weightsHash: string }> {
  const { state } = await readFold(context.log, stageStream(context.run, stage), stageFold);
  if (!parent.weights) throw new StemmaError('log', 'CORRUPT', `stage ${stage} names no parent weights`, 'The run stream is damaged.');
  let model: TrainerState = await deps.trainer.restore({ weights: parent.weights });
  if (model.weightsHash !== parent.weightsHash) throw new StemmaError('trainer', 'DIVERGED', 'its parent weights are not what their hash says', 'The run stream was altered, or this is a bug.');
  for (const committed of state.committed) {
    // Read here too: the trainer may hold the step's answer already and never look at the blob.
    if (committed.closed?.batch) await deps.blobs.get(committed.closed.batch);
    model = await replayStep(deps.trainer, model, committed);
    deps.onStep?.(stage, committed.step, state.committed.length);
  }
  return { stage, steps: state.committed.length, weightsHash: model.weightsHash };
}

function total(stages: readonly { steps: number }[]): number {
  return stages.reduce((n, s) => n + s.steps, 0);
}

/** A wrong hash of a blob or of a recorded fact is tampering or damage on any device. */
function isTampered(error: unknown): boolean {
  return error instanceof StemmaError && (error.boundary === 'blob' || error.code === 'CORRUPT' || error.code === 'HASH_MISMATCH');
}

function differenceOf(error: unknown, stage: string): string {
  if (error instanceof StemmaError && !error.retriable) return `${stage}: ${error.message}`;
  throw error;
}
