/** One schedule, from the created run to the oracle's verdict; and the search for the shortest one that fails. */
import { trainingRun } from '../../workflows/training-run.js';
import { violations } from './oracle.js';
import { SCENARIOS, type Genesis, type Scenario } from './scenario.js';
import { scheduleFrom, scheduleOf, shrink, type Decision, type Schedule } from './schedule.js';
import { inTimeOf } from './time-stub.js';
import { setCurrent } from './workflow-stub.js';
import { World } from './world.js';

/** Where services sleep 50 ms at a time, a standing rollout's minute is some 10,000 steps, and each loss may cost one. */
const MOST_STEPS = 120_000;
/** How long at least a service sleeps that wants to wait a little: with the longest ones a standing rollout's minute ends soon. */
const SLEEPS_MS = [50, 1_000, 20_000] as const;

/** What a simulation may be made to do wrong, to see that it is noticed. */
export interface Sabotage {
  /** The log acknowledges before it is durable. */
  readonly forgetful?: boolean;
  /** The log keeps duplicates, as a broker's partition does. Default: by seed. */
  readonly keepsDuplicates?: boolean;
  readonly sleepAtLeastMs?: number;
  /** Switches the broken code on and off: the oracle's is honest. */
  readonly during?: (on: boolean) => void;
}

export interface Result {
  readonly problems: readonly string[];
  readonly decisions: readonly Decision[];
  readonly trace: readonly string[];
  readonly steps: number;
}

export function worldOf({ run, scenario, stores, blobs }: Genesis, schedule: Schedule, { keepsDuplicates = false, forgetful = false, sleepAtLeastMs = SLEEPS_MS[0] }: Sabotage): World {
  // Only its own run is written.
  const own = new Map([...stores, [run, stores.get(run)!.copy(keepsDuplicates)]]);
  return new World({ stores: own, blobs: blobs.copy(), forgetful }, schedule, { run, stands: scenario !== 'shards', sleepAtLeastMs });
}

export async function simulate(genesis: Genesis, schedule: Schedule, sabotage: Sabotage = {}): Promise<Result> {
  const world = worldOf(genesis, schedule, sabotage);
  sabotage.during?.(true);
  let problems: string[] = [];
  try {
    await play(genesis, world);
  } catch (error) {
    problems = [`the run did not end: ${error instanceof Error ? `${error.message}${error.cause instanceof Error ? ` (${error.cause.message})` : ''}` : String(error)}`];
  }
  sabotage.during?.(false);
  const { acknowledged, answered, disks: { stores, blobs } } = world;
  if (problems.length === 0) problems = await violations({ run: genesis.run, stores, blobs, acknowledged, answered }, genesis.expected);
  const { decisions, trace, step } = world.scheduler;
  return { problems, decisions, trace, steps: step };
}

/** The real workflow until it returns, then everything late: what zombies still write must change nothing. */
export async function play({ run, input }: Genesis, world: World): Promise<void> {
  await inTimeOf(world.scheduler, async () => {
    let ended: { readonly error?: unknown } | undefined;
    const start = (): void => {
      setCurrent(world.temporal, run);
      const { workflow } = world.temporal;
      trainingRun(input).then(
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
  });
}

/** Which system a seed is about. */
export const scenarioOf = (seed: number): Scenario => SCENARIOS[seed % SCENARIOS.length]!;

/** So many seeds in a row have their options in common. */
export const SEEDS_A_VARIETY = 4;

function optionsOf(seed: number, sabotage: Sabotage): Sabotage {
  const rest = Math.floor(seed / SEEDS_A_VARIETY);
  return { keepsDuplicates: rest % 2 === 1, sleepAtLeastMs: SLEEPS_MS[rest % SLEEPS_MS.length]!, ...sabotage };
}

export const simulateSeed = (genesis: Genesis, seed: number, sabotage: Sabotage = {}): Promise<Result> =>
  simulate(genesis, scheduleOf(seed, genesis.span), optionsOf(seed, sabotage));

/** What of the seed's schedule had an effect, again. */
export const simulateAgain = (genesis: Genesis, seed: number, decisions: readonly Decision[], sabotage: Sabotage = {}): Promise<Result> =>
  simulate(genesis, scheduleFrom(decisions), optionsOf(seed, sabotage));

/** What to print of a failing seed: how it replays, and the shortest schedule that still fails. */
export async function explain(genesis: Genesis, seed: number, result: Result, sabotage: Sabotage = {}): Promise<string> {
  const shortest = await shrink(result.decisions, async (part) => (await simulateAgain(genesis, seed, part, sabotage)).problems.length > 0);
  const again = await simulateAgain(genesis, seed, shortest, sabotage);
  return [
    `seed ${seed} (${genesis.scenario}) fails (npm run test:simulation -- --schedules 1 --first-seed ${seed}): ${result.problems.join('; ')}`,
    `shortest schedule, ${shortest.length} of ${result.decisions.length} decisions: ${JSON.stringify(shortest)}`,
    `which fails with: ${again.problems.join('; ')}`,
    ...again.trace.slice(-60).map((line) => `  ${line}`),
  ].join('\n');
}
