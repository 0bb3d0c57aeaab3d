import { describe, expect, it } from 'vitest';
import { eventId } from '../../../../services/runtime/event-id.js';
import { newEvent } from '../../../../services/runtime/new-event.js';
import { EPISODE, RUN, turn } from '../../../support/log-events.js';

describe('eventId', () => {
  it('is frozen: stored runs are read by it', () => {
    expect(eventId(EPISODE, turn(3), 'A')).toBe('7d70062cd81889a8137a802da22d1d63');
  });

  it('hashes stream, type, key and claim, and nothing else', () => {
    const id = eventId(EPISODE, turn(0, 'w1'), 'A');
    expect(eventId(EPISODE, turn(0, 'w2'), 'A')).toBe(id);
    const others = [
      eventId(`${EPISODE}x`, turn(0), 'A'), eventId(EPISODE, turn(1), 'A'), eventId(EPISODE, turn(0), 'B'),
      eventId(EPISODE, { $case: 'observationRecorded', value: { attempt: 1, turn: 0, tokens: new Uint8Array(), recordJson: '' } }, 'A'),
    ];
    expect(new Set([id, ...others]).size).toBe(5);
  });

  it('cannot be confused by where one part ends', () => {
    const paused = (updateId: string) => ({ $case: 'runPaused' as const, value: { updateId, by: '', origin: '' } });
    expect(eventId('run/a', paused('b","'), '')).not.toBe(eventId('run/a', paused('b'), '","'));
  });
});

describe('newEvent', () => {
  it('refuses a payload on the wrong kind of stream', () => {
    expect(() => newEvent({ stream: `run/${RUN}`, run: RUN, claim: 'A', seq: 1 }, turn(0)))
      .toThrow(expect.objectContaining({ code: 'INVALID', remedy: expect.stringContaining('episode stream') }));
  });
});
