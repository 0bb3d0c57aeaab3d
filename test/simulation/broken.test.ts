/** A checker that never fails proves nothing: three systems broken on purpose, each of which it must catch. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Fold, OpenFold } from '../../core/log/fold.js';
import type { StoredEvent } from '../../core/ports.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { scheduleFrom } from './schedule.js';
import { createGenesis, explain, simulate, simulateSeed, type Genesis, type Sabotage } from './simulate.js';

const broken = vi.hoisted(() => ({ claimsIgnored: false, dedupeOff: false, trusting: '' }));

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

/** `from`: a seed near one that catches it, where that takes many. */
const VARIANTS: readonly [what: string, sabotage: Sabotage & { readonly from?: number }][] = [
  ['a fold that ignores claims', { during: (on) => { broken.claimsIgnored = on; } }],
  ['a fold that counts an event once a delivery', { keepsDuplicates: true, during: (on) => { broken.dedupeOff = on; } }],
  ['a log that acknowledges before it is durable', { forgetful: true }],
  // So it was until the simulation found it: a claim that was given up lands late, and what was recorded since does not count.
  ['a planner that does not read back before it reports', { during: (on) => { broken.trusting = on ? 'planner' : ''; }, from: 90 }],
];
/** Seeds within which each must be caught. */
const BOUND = 1000;

let genesis: Genesis;
beforeAll(async () => { genesis = await createGenesis(); });

describe.each(VARIANTS)('%s', (what, { from = 1, ...sabotage }) => {
  it('does as well as any while nothing breaks', async () => {
    expect((await simulate(genesis, scheduleFrom([]), sabotage)).problems).toEqual([]);
  });

  it(`is caught within ${BOUND} schedules, and the failure is cut down to what it needs`, async () => {
    for (let seed = from; seed < from + BOUND; seed += 1) {
      const result = await simulateSeed(genesis, seed, sabotage);
      if (result.problems.length === 0) continue;
      const report = await explain(genesis, seed, result, sabotage);
      const [, shortest] = /shortest schedule, (\d+) of/.exec(report) ?? [];
      console.log(`${what}: caught by seed ${seed}, ${result.problems[0]}; ${report.split('\n')[1]}`);
      expect(Number(shortest)).toBeLessThanOrEqual(Math.min(result.decisions.length, 12));
      return;
    }
    expect.fail(`not caught by seeds ${from} to ${from + BOUND - 1}`);
  });
});
