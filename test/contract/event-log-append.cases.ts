/** Appending and reading back: order, durability, duplicates. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect, it } from 'vitest';
import { Event } from '../../proto/gen/stemma/v1/events.js';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import { newEvent } from '../../services/runtime/new-event.js';
import { EPISODE, RUN, turn, turnEvent } from '../support/log-events.js';
import { CLAIM, ids, turns } from '../support/log-reading.js';
import type { Subjects } from './event-log.cases.js';

export function appends(subject: Subjects): void {
  it('keeps every field of every event', async () => {
    const { log, reopen } = subject();
    const made = newEvent({ stream: EPISODE, run: RUN, claim: CLAIM, seq: 4_000_000_000, causationId: 'cause' }, turn(7, 'ä\u{1f984}', 999));
    const event = { ...made, recordedAtMs: 2n ** 62n };
    await log.append([event]);
    await reopen();
    const [stored] = await subject().log.readStream(EPISODE);
    expect(stored).toEqual({ position: 0, event });
  });

  it('keeps the order of a stream, at positions 0, 1, 2 …, over a reopening', async () => {
    const { log, reopen } = subject();
    await log.append(turns(EPISODE, 0, 3));
    await log.append(turns(EPISODE, 3, 5));
    await reopen();
    await subject().log.append(turns(EPISODE, 5, 6));
    const stored = await subject().log.readStream(EPISODE);
    expect(ids(stored)).toEqual(ids(turns(EPISODE, 0, 6)));
    expect(stored.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('reads from a position on', async () => {
    const { log } = subject();
    await log.append(turns(EPISODE, 0, 10));
    const stored = await log.readStream(EPISODE, 7);
    expect(stored.map(({ position }) => position)).toEqual([7, 8, 9]);
    expect(ids(stored)).toEqual(ids(turns(EPISODE, 7, 10)));
    expect(await log.readStream(EPISODE, 10)).toEqual([]);
    expect(await log.readStream('episode/r1/unknown')).toEqual([]);
  });

  it('reads a stream longer than one page', async () => {
    const { log } = subject();
    await log.append(turns(EPISODE, 0, 2_500));
    expect(ids(await log.readStream(EPISODE, 100))).toEqual(ids(turns(EPISODE, 100, 2_500)));
  });

  it('says truly where events stand, if it says it', async () => {
    const { log } = subject();
    const other = `${EPISODE}0`;
    await log.append([...turns(EPISODE, 0, 3), turnEvent(other, CLAIM, 0)]);
    const answers = await Promise.all([
      log.append([turnEvent(other, CLAIM, 1), ...turns(EPISODE, 2, 5), turnEvent(other, CLAIM, 0)]),
      log.append(turns(EPISODE, 1, 2)),
    ]);
    for (const [positions, expected] of [[answers[0], [1, 2, 3, 4, 0]], [answers[1], [1]]] as const) expect(positions ?? expected).toEqual(expected);
  });

  it('keeps streams apart that share one append', async () => {
    const { log } = subject();
    const other = `${EPISODE}0';--`;
    await log.append(turns(EPISODE, 0, 50).flatMap((event, index) => [event, turnEvent(other, CLAIM, index)]));
    expect(ids(await log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 50)));
    expect(ids(await log.readStream(other))).toEqual(ids(turns(other, 0, 50)));
  });

  it('reads what was acknowledged before the call', async () => {
    const { log } = subject();
    for (let number = 0; number < 50; number += 1) {
      await log.append(turns(EPISODE, number, number + 1));
      expect(await log.readStream(EPISODE, number)).toHaveLength(1);
    }
  });

  it('takes appends of many callers at once, each in its order', async () => {
    const { log, reopen } = subject();
    const callers = Array.from({ length: 40 }, (_, caller) => `caller-${caller}`);
    await Promise.all(callers.map(async (caller) => {
      for (let number = 0; number < 10; number += 1) {
        await log.append([turnEvent(EPISODE, caller, number), turnEvent(`episode/${RUN}/${caller}`, caller, number)]);
      }
    }));
    await reopen();
    const together = await subject().log.readStream(EPISODE);
    expect(together.map(({ position }) => position)).toEqual(Array.from({ length: 400 }, (_, position) => position));
    for (const caller of callers) {
      const expected = Array.from({ length: 10 }, (_, number) => turnEvent(EPISODE, caller, number).id);
      expect(ids(together.filter(({ event }) => event.claim === caller))).toEqual(expected);
      expect(await subject().log.readStream(`episode/${RUN}/${caller}`)).toHaveLength(10);
    }
  });

  it('takes events of 60 KiB', async () => {
    const { log, reopen } = subject();
    const large = Array.from({ length: 40 }, (_, number): Event =>
      newEvent({ stream: EPISODE, run: RUN, claim: CLAIM, seq: number + 1 }, turn(number, '', 30 * 1024)));
    await log.append(large);
    await reopen();
    const stored = await subject().log.readStream(EPISODE);
    // Not toEqual: it takes seconds for megabytes.
    expect(isDeepStrictEqual(stored.map(({ event }) => event), large)).toBe(true);
  });

  it('carries what is large by reference: the event stays small, the bytes come back whole', async () => {
    const { log, reopen } = subject();
    const directory = mkdtempSync(join(tmpdir(), 'stemma-blobs-'));
    try {
      const blobs = await openDirectoryBlobs(directory);
      const bytes = new Uint8Array(3 * 1024 * 1024).map((_, at) => at % 253);
      const scored = newEvent({ stream: EPISODE, run: RUN, claim: CLAIM, seq: 1 }, {
        $case: 'episodeScored', value: { purpose: 'teacher', scorerWeightsHash: 'w', topK: 64, scores: await blobs.put(bytes), row: 0 },
      });
      await log.append([scored]);
      await reopen();
      const [stored] = await subject().log.readStream(EPISODE);
      expect(Event.encode(stored!.event).finish().length).toBeLessThan(1_000);
      const { payload } = stored!.event;
      const read = await blobs.get((payload?.$case === 'episodeScored' ? payload.value.scores : undefined)!);
      expect(Buffer.compare(read, bytes)).toBe(0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('takes an empty append', async () => {
    await subject().log.append([]);
  });
}

export function duplicates(subject: Subjects): void {
  it('drops an event that it has: in one call, in another, at once, after reopening', async () => {
    const { log, reopen } = subject();
    const [first, second] = turns(EPISODE, 0, 2) as [Event, Event];
    await log.append([first, first, second]);
    await log.append([second, first]);
    await Promise.all([log.append([first]), log.append([second])]);
    await reopen();
    await subject().log.append([{ ...second, recordedAtMs: 5n, seq: 0 }, turnEvent(EPISODE, CLAIM, 2)]);
    expect(ids(await subject().log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 3)));
  });

  it('drops what stands twice in one long append, and says where the first stands', async () => {
    const { log } = subject();
    const events = turns(EPISODE, 0, 40);
    const again = [0, 15, 16, 31, 39];
    const positions = await log.append([...events.slice(0, 20), ...again.slice(0, 3).map((at) => events[at]!), ...events.slice(20), ...again.map((at) => events[at]!)]);
    const expected = [...Array.from({ length: 20 }, (_, at) => at), 0, 15, 16, ...Array.from({ length: 20 }, (_, at) => 20 + at), ...again];
    expect(positions ?? expected).toEqual(expected);
    expect(ids(await log.readStream(EPISODE))).toEqual(ids(events));
  });

  it('refuses another payload under the same id, keeps the first, and does not fail others', async () => {
    const { log } = subject();
    const first = turnEvent(EPISODE, CLAIM, 0, 'first');
    await log.append([first]);
    const outcomes = await Promise.allSettled([
      log.append([turnEvent(EPISODE, CLAIM, 0, 'altered')]),
      log.append(turns(EPISODE, 1, 3)),
    ]);
    expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { boundary: 'log', code: 'HASH_MISMATCH', retriable: false } });
    expect(outcomes[1].status).toBe('fulfilled');
    const stored = await log.readStream(EPISODE);
    expect(stored.map(({ event }) => event.payload)).toEqual([first, ...turns(EPISODE, 1, 3)].map(({ payload }) => payload));
  });
}
