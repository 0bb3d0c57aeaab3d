/** One schedule, from the created run to the oracle's verdict; and the search for the shortest one that fails. */
import { createRun } from '../../services/coordinator/create-run.js';
import { trainingRun } from '../../workflows/training-run.js';
import { MemoryBlobs } from './memory-blobs.js';
import { MemoryStore, openMemoryLogs } from './memory-logs.js';
import { blobStore, outcomeOf, trainerOf, violations, type Outcome } from './oracle.js';
import { runViewOf } from '../../core/projection/run-view.js';
import { simulatedRecipe } from './recipe.js';
import { Sidecar } from './sidecar.js';
import { scheduleFrom, scheduleOf, shrink, type Decision, type Schedule } from './schedule.js';
import { setCurrent } from './workflow-stub.js';
import { RUN, World } from './world.js';

const MOST_STEPS = 30_000;

/** What a simulation may be made to do wrong, to see that it is noticed. */
export interface Sabotage {
  /** The log acknowledges before it is durable. */
  readonly forgetful?: boolean;
  /** The log keeps duplicates, as a broker's partition does. Default: by seed. */
  readonly keepsDuplicates?: boolean;
  /** Switches the broken code on and off: the oracle's is honest. */
  readonly during?: (on: boolean) => void;
}

export interface Result {
  readonly problems: readonly string[];
  readonly decisions: readonly Decision[];
  readonly trace: readonly string[];
  readonly steps: number;
}

export interface Genesis {
  readonly store: MemoryStore;
  readonly blobs: MemoryBlobs;
  readonly expected: Outcome;
  /** Steps of the undisturbed run. */
  readonly span: number;
}

/** The created run, and what it comes to when nothing breaks. */
export async function createGenesis(): Promise<Genesis> {
  const store = new MemoryStore();
  const blobs = new MemoryBlobs();
  const log = await openMemoryLogs(new Map([[RUN, store]])).open(RUN, 'write');
  await createRun({ blobs: blobStore(blobs), trainer: trainerOf(new Sidecar(blobs)), code: { version: 'simulated', revision: '' } }, log,
    { run: RUN, recipe: await simulatedRecipe(), seed: 7n, who: { by: 'simulation', origin: '' } });
  const world = new World({ store: store.copy(false), blobs: blobs.copy(), forgetful: false }, scheduleFrom([]));
  await play(world);
  const problems = await violations({ ...world.disks, acknowledged: world.acknowledged }, undefined);
  if (problems.length > 0) throw new Error(`the undisturbed run fails: ${problems.join('; ')}`);
  return { store, blobs, expected: outcomeOf(runViewOf(world.disks.store.all())), span: world.scheduler.step };
}

export async function simulate(genesis: Genesis, schedule: Schedule, sabotage: Sabotage = {}): Promise<Result> {
  const store = genesis.store.copy(sabotage.keepsDuplicates ?? false);
  const world = new World({ store, blobs: genesis.blobs.copy(), forgetful: sabotage.forgetful ?? false }, schedule);
  sabotage.during?.(true);
  let problems: string[] = [];
  try {
    await play(world);
  } catch (error) {
    problems = [`the run did not end: ${error instanceof Error ? `${error.message}${error.cause instanceof Error ? ` (${error.cause.message})` : ''}` : String(error)}`];
  }
  sabotage.during?.(false);
  if (problems.length === 0) problems = await violations({ ...world.disks, acknowledged: world.acknowledged }, genesis.expected);
  const { decisions, trace, step } = world.scheduler;
  return { problems, decisions, trace, steps: step };
}

/** The real workflow until it returns, then everything late: what zombies still write must change nothing. */
async function play(world: World): Promise<void> {
  setCurrent(world.temporal, RUN);
  let ended: { readonly error?: unknown } | undefined;
  const start = (): void => {
    const { workflow } = world.temporal;
    trainingRun({ recipe: 'simulated' }).then(
      () => { if (workflow.status === 'up') ended = {}; },
      (error: unknown) => { if (workflow.status === 'up') ended = { error }; },
    );
  };
  world.onWorkflowLost = start;
  start();
  await world.scheduler.run(() => ended !== undefined, world, MOST_STEPS);
  if (ended?.error !== undefined) throw ended.error;
  world.wakeAll();
  await world.scheduler.drain(MOST_STEPS);
}

export const simulateSeed = (genesis: Genesis, seed: number, sabotage: Sabotage = {}): Promise<Result> =>
  simulate(genesis, scheduleOf(seed, genesis.span), { keepsDuplicates: seed % 2 === 1, ...sabotage });

/** What to print of a failing seed: how it replays, and the shortest schedule that still fails. */
export async function explain(genesis: Genesis, seed: number, result: Result, sabotage: Sabotage = {}): Promise<string> {
  const options = { keepsDuplicates: seed % 2 === 1, ...sabotage };
  const fails = async (part: readonly Decision[]): Promise<boolean> => (await simulate(genesis, scheduleFrom(part), options)).problems.length > 0;
  const shortest = await shrink(result.decisions, fails);
  const again = await simulate(genesis, scheduleFrom(shortest), options);
  return [
    `seed ${seed} fails (npm run test:simulation -- --schedules 1 --first-seed ${seed}): ${result.problems.join('; ')}`,
    `shortest schedule, ${shortest.length} of ${result.decisions.length} decisions: ${JSON.stringify(shortest)}`,
    `which fails with: ${again.problems.join('; ')}`,
    ...again.trace.slice(-60).map((line) => `  ${line}`),
  ].join('\n');
}
