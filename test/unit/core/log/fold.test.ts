import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldStream, openFold } from '../../../../core/log/fold.js';
import type { Event } from '../../../../proto/gen/stemma/v1/events.js';
import { claimEvent, EPISODE, historyFold, turnEvent } from '../../../support/log-events.js';
import { stored } from '../../../support/raw-log.js';

const fold = (events: readonly Event[]) => foldStream(historyFold, stored(events));
const CA = claimEvent(EPISODE, 'A');
const CB = claimEvent(EPISODE, 'B');
const a = (number: number): Event => turnEvent(EPISODE, 'A', number, 'a');
const b = (number: number): Event => turnEvent(EPISODE, 'B', number, 'b');

/** The cases of docs/events.md. B's seqs start at 1 whatever A wrote. */
describe('a fold under claims', () => {
  it.each([
    ['a fact before the next claim counts', [CA, a(0), CB, b(0)], ['0:a', '0:b'], 0],
    ['a zombie changes nothing', [CA, CB, a(0), b(0)], ['0:b'], 1],
    ['nor late', [CA, CB, b(0), a(0)], ['0:b'], 1],
    ['a repeated append is one fact', [CA, a(0), a(0), a(1)], ['0:a', '1:a'], 0],
    ['also behind the next claim', [CA, a(0), CB, a(0), b(0)], ['0:a', '0:b'], 0],
    ['both think they hold', [CA, CB, a(0), b(0), a(1), b(1)], ['0:b', '1:b'], 2],
    ['a delayed claim takes over', [CB, b(0), CA, b(1), a(0)], ['0:b', '0:a'], 1],
    ['a repeated claim does not', [CA, CB, CA, a(0), b(0)], ['0:b'], 1],
    ['a writer that never claimed changes nothing', [a(0)], [], 1],
    ['another role does not fence', [CA, claimEvent(EPISODE, 'S', 'scorer'), a(0)], ['0:a'], 0],
  ])('%s', (_name, events, history, zombies) => {
    const folded = fold(events);
    expect(folded.state).toEqual(history);
    expect(folded.zombies).toBe(zombies);
    expect(folded.gaps).toEqual([]);
    expect(folded.nextPosition).toBe(events.length);
  });

  it('reports what is missing before an event, and goes on', () => {
    const folded = fold([CA, a(0), a(2), a(3)]);
    expect(folded.state).toEqual(['0:a', '2:a', '3:a']);
    expect(folded.gaps).toEqual([{ eventId: a(2).id, claim: 'A', expectedSeq: 2, foundSeq: 3 }]);
    expect(fold([CA, CB, a(1)]).gaps).toEqual([]);
  });

  it('refuses a payload that this version does not know', () => {
    expect(() => fold([{ ...a(0), payload: undefined }])).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  });

  it('says which claim is current', () => {
    expect(fold([CA, CB]).claims.get('rollout')).toBe('B');
  });
});

/** Three claims, each writing its turns in order, interleaved at will: what an order-keeping log may hold. */
const streamsArb = fc.array(fc.record({ claim: fc.constantFrom('A', 'B', 'C'), claims: fc.boolean() }), { maxLength: 40 }).map((steps) => {
  const written = new Map<string, number>();
  return steps.map(({ claim, claims }) => {
    if (claims) return claimEvent(EPISODE, claim);
    const number = written.get(claim) ?? 0;
    written.set(claim, number + 1);
    return turnEvent(EPISODE, claim, number, claim);
  });
});

describe('any stream', () => {
  it('folds the same with every event delivered again, later', () => {
    fc.assert(fc.property(streamsArb, fc.array(fc.tuple(fc.nat(), fc.nat())), (events, repeats) => {
      const noisy = [...events];
      for (const [which, where] of events.length > 0 ? repeats : []) {
        const first = which % noisy.length;
        noisy.splice(first + 1 + (where % (noisy.length - first)), 0, noisy[first]!);
      }
      expect(fold(noisy).state).toEqual(fold(events).state);
      expect(fold(noisy).gaps).toEqual(fold(events).gaps);
    }));
  });

  it('folds the same without its zombies', () => {
    fc.assert(fc.property(streamsArb, (events) => {
      const open = openFold(historyFold);
      const effective = events.filter((event) => open.add(event));
      expect(fold(effective).state).toEqual(fold(events).state);
      expect(fold(effective).zombies).toBe(0);
    }));
  });

  it('folds the same in one go and event by event, whatever the clock said', () => {
    fc.assert(fc.property(streamsArb, fc.bigInt({ min: 0n, max: 2n ** 60n }), (events, recordedAtMs) => {
      const open = openFold(historyFold);
      for (const { event, position } of stored(events)) open.add({ ...event, recordedAtMs }, position);
      const whole = fold(events);
      expect([open.state, open.claims, open.gaps, open.zombies, open.duplicates, open.nextPosition])
        .toEqual([whole.state, whole.claims, whole.gaps, whole.zombies, whole.duplicates, whole.nextPosition]);
    }));
  });

  it('reports every acknowledged event that is lost before another of its claim', () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 20 }), fc.nat(), (count, which) => {
      const lost = which % (count - 1);
      const turns = Array.from({ length: count }, (_, number) => a(number));
      expect(fold([CA, ...turns]).gaps).toEqual([]);
      expect(fold([CA, ...turns.filter((_, number) => number !== lost)]).gaps).toHaveLength(1);
    }));
  });
});
