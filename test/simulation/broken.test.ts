/** A checker that never fails proves nothing: systems broken on purpose, each of which it must catch. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Fold, OpenFold } from '../../core/log/fold.js';
import type { StoredEvent } from '../../core/ports.js';
import type { EpisodesRequested, Event } from '../../proto/gen/stemma/v1/events.js';
import { createGeneses } from './genesis.js';
import type { Geneses, Scenario } from './scenario.js';
import { scheduleFrom } from './schedule.js';
import { explain, SEEDS_A_VARIETY, simulate, simulateSeed, type Sabotage } from './simulate.js';

const broken = vi.hoisted(() => ({ claimsIgnored: false, dedupeOff: false, trusting: '', impatient: false, eager: false, late: false, forkVisible: false }));

vi.mock('../../core/log/claims.js', async (original) => {
  const actual = await original<typeof import('../../core/log/claims.js')>();
  return { ...actual, counts: (...args: Parameters<typeof actual.counts>) => broken.claimsIgnored || actual.counts(...args) };
});
vi.mock('../../core/log/fold.js', async (original) => {
  const actual = await original<typeof import('../../core/log/fold.js')>();
  const openFold = <S>(fold: Fold<S>): OpenFold<S> => (broken.dedupeOff ? withoutDedupe(actual.openFold(fold)) : actual.openFold(fold));
  const foldStream = <S>(fold: Fold<S>, stored: Iterable<StoredEvent>): OpenFold<S> => {
    const open = openFold(fold);
    for (const { event, position } of stored) open.add(event, position);
    return open;
  };
  return { ...actual, openFold, foldStream };
});

vi.mock('../../services/runtime/claimed-stream.js', async (original) => {
  const actual = await original<typeof import('../../services/runtime/claimed-stream.js')>();
  const claimStreams: typeof actual.claimStreams = async (log, specs, fold) => {
    const held = await actual.claimStreams(log, specs, fold);
    return held.map((claim, index) => (specs[index]!.role === broken.trusting ? Object.assign(claim, { assertHeld: async () => undefined }) : claim));
  };
  const claimStream: typeof actual.claimStream = async (log, spec, fold) => (await claimStreams(log, [spec], fold))[0]!;
  return { ...actual, claimStream, claimStreams };
});

vi.mock('../../services/training/step-episodes.js', async (original) => {
  const actual = await original<typeof import('../../services/training/step-episodes.js')>();
  const { finishedEpisodes } = await import('../../services/training/requests.js');
  class StepEpisodes extends actual.StepEpisodes {
    constructor(private readonly on: ConstructorParameters<typeof actual.StepEpisodes>[0], private readonly of: string, ...rest: [ConstructorParameters<typeof actual.StepEpisodes>[2]]) {
      super(on, of, ...rest);
    }
    override async ended(rounds: readonly EpisodesRequested[]): ReturnType<InstanceType<typeof actual.StepEpisodes>['ended']> {
      const all = await super.ended(rounds);
      if (all !== undefined || !broken.impatient) return all;
      const each = await Promise.all(rounds.flatMap((round) => round.episodes.map((episode) => finishedEpisodes(this.on, this.of, [{ ...round, episodes: [episode] }]))));
      return each.flatMap((one) => one ?? []);
    }
  }
  return { ...actual, StepEpisodes };
});
vi.mock('../../core/stage/staleness.js', async (original) => {
  const actual = await original<typeof import('../../core/stage/staleness.js')>();
  const stepsToRequest: typeof actual.stepsToRequest = (at, isRequested) => actual.stepsToRequest({ ...at, ahead: at.ahead + (broken.eager && at.ahead > 0 ? 1 : 0) }, isRequested);
  return { ...actual, stepsToRequest };
});
vi.mock('../../core/stage/stage.js', async (original) => {
  const actual = await original<typeof import('../../core/stage/stage.js')>();
  return { ...actual, lastClosed: (state: Parameters<typeof actual.lastClosed>[0]) => actual.lastClosed(state) - (broken.late ? 2 : 0) };
});
vi.mock('../../services/coordinator/fork-run.js', async (original) => {
  const actual = await original<typeof import('../../services/coordinator/fork-run.js')>();
  const { newEvent } = await import('../../services/runtime/new-event.js');
  const forkRun: typeof actual.forkRun = async (deps, log, { run, plan, who }) => {
    if (broken.forkVisible) {
      const parent = await (await deps.logs.open(plan.fork.parent, 'read')).readStream(`run/${plan.fork.parent}`);
      const created = parent.map(({ event }) => event.payload).find((payload) => payload?.$case === 'runCreated')!;
      await log.append([newEvent({ stream: `run/${run}`, run, claim: '', seq: 0 }, { ...created, value: { ...created.value, run } })]);
    }
    await actual.forkRun(deps, log, { run, plan, who });
  };
  return { ...actual, forkRun };
});

/** To the fold each delivery is an event of its own. */
function withoutDedupe<S>(open: OpenFold<S>): OpenFold<S> {
  const known = new Set<string>();
  const { add } = open;
  let deliveries = 0;
  return Object.assign(open, {
    has: (id: string) => known.has(id),
    add(event: Event, position?: number) {
      known.add(event.id);
      deliveries += 1;
      return add({ ...event, id: `${event.id} ${deliveries}` }, position);
    },
  });
}

interface Variant extends Sabotage {
  readonly scenario: Scenario;
  /** A seed near one that catches it, where that takes many. */
  readonly from?: number;
  /** Decisions that its shortest schedule may need; more where it takes an order of many operations. */
  readonly most?: number;
  /** It is wrong even when nothing breaks. */
  readonly always?: boolean;
}

const VARIANTS: readonly [what: string, variant: Variant][] = [
  ['a fold that ignores claims', { scenario: 'shards', during: (on) => { broken.claimsIgnored = on; } }],
  ['a fold that counts an event once a delivery', { scenario: 'shards', keepsDuplicates: true, during: (on) => { broken.dedupeOff = on; } }],
  ['a log that acknowledges before it is durable', { scenario: 'shards', forgetful: true }],
  // So it was until the simulation found it: a claim that was given up lands late, and what was recorded since does not count.
  ['a planner that does not read back before it reports', { scenario: 'shards', during: (on) => { broken.trusting = on ? 'planner' : ''; }, from: 90 }],
  ['a planner that closes a step without the episodes that nobody seems to run', { scenario: 'standing', most: 100, during: (on) => { broken.impatient = on; } }],
  ['a learner that is asked for more steps ahead than the bound', { scenario: 'asynchronous', always: true, during: (on) => { broken.eager = on; } }],
  ['an amendment that holds from steps on that are closed', { scenario: 'standing', during: (on) => { broken.late = on; } }],
  ['a fork that is taken for a run before its history is there', { scenario: 'fork', during: (on) => { broken.forkVisible = on; } }],
];
const OFFSETS: readonly Scenario[] = ['shards', 'standing', 'asynchronous', 'fork'];
/** Schedules within which each must be caught. */
const BOUND = 1000;

let geneses: Geneses;
beforeAll(async () => { geneses = await createGeneses(); });

describe.each(VARIANTS)('%s', (what, { scenario, from = 1, most = 12, always = false, ...sabotage }) => {
  it.skipIf(always)('does as well as any while nothing breaks', async () => {
    expect((await simulate(geneses[scenario], scheduleFrom([]), sabotage)).problems).toEqual([]);
  });

  it(`is caught within ${BOUND} schedules, and the failure is cut down to what it needs`, async () => {
    const genesis = geneses[scenario];
    for (let tried = 0; tried < BOUND; tried += 1) {
      const seed = (from + tried) * SEEDS_A_VARIETY + OFFSETS.indexOf(scenario);
      const result = await simulateSeed(genesis, seed, sabotage);
      if (result.problems.length === 0) continue;
      const report = await explain(genesis, seed, result, sabotage);
      const [, shortest] = /shortest schedule, (\d+) of/.exec(report) ?? [];
      console.log(`${what}: caught by schedule ${tried + 1}, seed ${seed}, ${result.problems[0]}; ${report.split('\n')[1]}`);
      expect(Number(shortest)).toBeLessThanOrEqual(Math.min(result.decisions.length, most));
      return;
    }
    expect.fail(`not caught by ${BOUND} schedules from ${from} on`);
  });
});
