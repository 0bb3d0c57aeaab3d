/** Recovery is the fold again: newest valid snapshot, then the recorded batches, each checked against its recorded hash. */
import { StemmaError } from '../../core/errors.js';
import type { Trainer, TrainerState } from '../../core/ports.js';
import { lastCommitted, type CommittedStep, type StageState } from '../../core/stage/stage.js';
import type { ModelState, SnapshotTaken } from '../../proto/gen/stemma/v1/events.js';
import type { Logger } from '../runtime/logger.js';
import type { StageSession, TrainingDeps } from './session.js';
import { stepInput } from './step-input.js';

type Recovering = Pick<TrainingDeps, 'trainer' | 'metrics'>;
type Stage = Pick<StageSession, 'stage' | 'parent' | 'recipe' | 'logger'>;

/** Makes the trainer hold the state after the stage's last committed step. A no-op when it does already. */
export async function ensureTrainer({ trainer, metrics }: Recovering, session: Stage): Promise<TrainerState> {
  const last = lastCommitted(session.stage.state);
  const { stateHash } = await trainer.status();
  if (last?.stateHash === stateHash) return { stateHash, weightsHash: last.weightsHash, step: last.step };
  const again = (): Promise<Recovered> => recover(trainer, session, stateHash);
  // Loading the weights that a stage starts from recovers nothing.
  const { state, replayed } = await (last ? metrics.timed(session.recipe.kind, 'recover', again) : again());
  metrics.replayed(session.recipe.kind, replayed);
  return state;
}

interface Recovered {
  readonly state: TrainerState;
  readonly replayed: number;
}

/** `heldHash`: of the state that the trainer holds now. */
async function recover(trainer: Trainer, { stage: { state: stage }, parent, logger }: Stage, heldHash: string): Promise<Recovered> {
  // What the trainer holds may be an earlier step of this stage: an interrupted recovery goes on from there.
  const held = stage.committed.find(({ stateHash }) => stateHash === heldHash);
  let state = held ? { stateHash: held.stateHash, weightsHash: held.weightsHash, step: held.step } : await restoreBase(trainer, stage, parent, logger);
  const from = state.step;
  for (const committed of stage.committed.slice(from)) {
    state = await replayStep(trainer, state, committed);
  }
  const replayed = stage.committed.length - from;
  if (stage.committed.length > 0) logger.info({ fromStep: from, replayedSteps: replayed }, 'trainer state recovered');
  return { state, replayed };
}

async function restoreBase(trainer: Trainer, stage: StageState, parent: ModelState, logger: Logger): Promise<TrainerState> {
  const committed = stage.committed.length;
  const candidates = [...stage.snapshots].filter((s) => s.step <= committed).sort((a, b) => b.step - a.step);
  for (const candidate of candidates) {
    const state = await tryRestore(trainer, candidate, logger);
    if (state) return state;
  }
  if (!parent.weights) {
    throw new StemmaError('trainer', 'NOT_FOUND', 'the stage has no parent weights blob', 'The stage cannot be recovered; check the run log.');
  }
  return trainer.restore({ weights: parent.weights });
}

/** A torn, missing or altered snapshot is passed over: the one before, or the parent weights, are as good and only slower. */
async function tryRestore(trainer: Trainer, candidate: SnapshotTaken, logger: Logger): Promise<TrainerState | undefined> {
  if (!candidate.snapshot) return undefined;
  try {
    const state = await trainer.restore({ snapshot: candidate.snapshot });
    if (state.stateHash === candidate.stateHash) return state;
    logger.warn({ step: candidate.step }, 'snapshot does not hash to its recorded state; using an earlier one');
  } catch (error) {
    if (error instanceof StemmaError && error.retriable) throw error;
    logger.warn({ step: candidate.step, err: error }, 'snapshot is unreadable; using an earlier one');
  }
  return undefined;
}

/** One recorded step again. DIVERGED when the result is not the recorded one. */
export async function replayStep(trainer: Trainer, parent: TrainerState, committed: CommittedStep): Promise<TrainerState> {
  const { closed } = committed;
  if (!closed?.batch) {
    throw new StemmaError('log', 'CORRUPT', `step ${committed.step} is committed but its batch was never closed`, 'The stage stream is damaged; restore the log file from a copy.');
  }
  const result = await trainer.step(stepInput(parent, closed, closed.batch));
  if (result.stateHash !== committed.stateHash) {
    throw new StemmaError('trainer', 'DIVERGED',
      `step ${committed.step} recomputes to ${result.stateHash.slice(0, 12)}, recorded is ${committed.stateHash.slice(0, 12)}`,
      'Compare the device fingerprints; on the same fingerprint this is a bug or a tampered log.');
  }
  return result;
}
