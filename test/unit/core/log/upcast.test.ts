import { describe, expect, it } from 'vitest';
import { SCHEMA_VERSION, upcast, type Upcasters } from '../../../../core/log/upcast.js';
import { foldStream } from '../../../../core/log/fold.js';
import { Event } from '../../../../proto/gen/stemma/v1/events.js';

/** An imagined past: version 1 said "done" for completed, version 2 counted rewards in percent. */
const STEPS: Upcasters = [
  (event) => (event.payload?.$case === 'episodeEnded' && event.payload.value.status === 'done'
    ? { ...event, payload: { ...event.payload, value: { ...event.payload.value, status: 'completed' } } } : event),
  (event) => (event.payload?.$case === 'episodeEnded'
    ? { ...event, payload: { ...event.payload, value: { ...event.payload.value, reward: event.payload.value.reward / 100 } } } : event),
];
const ended = (schemaVersion: number, status: string, reward: number): Event =>
  Event.fromPartial({ id: 'e', stream: 'episode/r/e', claim: 'c', seq: 3, schemaVersion, payload: { $case: 'episodeEnded', value: { attempt: 1, status, reward } } });

describe('upcasting', () => {
  it('takes an old event through every version after its own, and keeps its identity', () => {
    const old = ended(1, 'done', 50);
    const before = structuredClone(old);
    expect(upcast(old, STEPS)).toEqual({ ...ended(3, 'completed', 0.5) });
    expect(old).toEqual(before);
    expect(upcast(ended(2, 'completed', 50), STEPS)).toEqual(ended(3, 'completed', 0.5));
  });

  it('leaves a current event alone, and one made by hand', () => {
    const current = ended(3, 'completed', 0.5);
    expect(upcast(current, STEPS)).toBe(current);
    expect(upcast(ended(0, 'done', 1), STEPS)).toMatchObject({ schemaVersion: 0 });
  });

  it('refuses an event of a newer version, in every fold', () => {
    const newer = ended(SCHEMA_VERSION + 1, 'completed', 1);
    const fold = { initial: () => 0, evolve: (n: number) => n + 1 };
    expect(() => foldStream(fold, [{ position: 0, event: newer }])).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    expect(() => upcast(newer)).toThrow(/schema version 2; this version reads up to 1/);
  });
});
