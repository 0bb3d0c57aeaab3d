/** Following all streams: from the start, from a cursor, live, slowly, and beside the writer. */
import { setImmediate as nextTick } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { EPISODE, RUN } from '../support/log-events.js';
import { collect, ids, ofStream, turns } from '../support/log-reading.js';
import type { Subjects } from './event-log.cases.js';

export function tails(subject: Subjects): void {
  const other = `episode/${RUN}/e2`;

  it('delivers everything from the start, then what is appended live', async () => {
    const { log } = subject();
    await log.append([...turns(EPISODE, 0, 5), ...turns(other, 0, 5)]);
    let live = false;
    const { events } = await collect(log, '', 20, async () => {
      if (live) return;
      live = true;
      await log.append([...turns(EPISODE, 5, 10), ...turns(other, 5, 10)]);
    });
    expect(ofStream(events, EPISODE)).toEqual(ids(turns(EPISODE, 0, 10)));
    expect(ofStream(events, other)).toEqual(ids(turns(other, 0, 10)));
  });

  it('resumes from a cursor without losing an event, also after a reopening', async () => {
    const { log, reopen } = subject();
    await log.append(turns(EPISODE, 0, 10));
    const { cursor } = await collect(log, '', 10);
    await log.append(turns(EPISODE, 10, 20));
    await reopen();
    const { events } = await collect(subject().log, cursor, 10);
    expect(ofStream(events.filter(({ position }) => position >= 10), EPISODE)).toEqual(ids(turns(EPISODE, 10, 20)));
  });

  it('wakes a waiting reader, and ends when aborted', async () => {
    const { log } = subject();
    const stop = new AbortController();
    const batches = log.tail('', stop.signal)[Symbol.asyncIterator]();
    const waiting = batches.next();
    await log.append(turns(EPISODE, 0, 1));
    const woken = await waiting;
    expect(woken.done ? [] : ids(woken.value.events)).toEqual(ids(turns(EPISODE, 0, 1)));
    const idle = batches.next();
    stop.abort();
    expect((await idle).done).toBe(true);
    const never = log.tail('', AbortSignal.abort())[Symbol.asyncIterator]();
    expect((await never.next()).done).toBe(true);
  });

  it('ends when the log is closed', async () => {
    const { log, reopen } = subject();
    const idle = log.tail('', new AbortController().signal)[Symbol.asyncIterator]().next();
    await reopen();
    expect((await idle).done).toBe(true);
  });

  it('lets a slow consumer take its time: batches stay bounded and nothing is lost', async () => {
    const { log } = subject();
    const appended = Array.from({ length: 12 }, (_, batch) => log.append(turns(EPISODE, batch * 500, (batch + 1) * 500)));
    let batches = 0;
    const { events } = await collect(log, '', 6_000, async () => {
      batches += 1;
      for (let ticks = 0; ticks < 20; ticks += 1) await nextTick();
    });
    await Promise.all(appended);
    expect(ofStream(events, EPISODE)).toEqual(ids(turns(EPISODE, 0, 6_000)));
    expect(batches).toBeGreaterThan(2);
  });

  it('serves two readers beside the writer, each at its own pace', async () => {
    const { log, logs } = subject();
    await log.append(turns(EPISODE, 0, 5));
    const readers = await Promise.all([logs.open(RUN, 'read'), logs.open(RUN, 'read')]);
    const both = Promise.all(readers.map((reader) => collect(reader, '', 15)));
    await log.append(turns(EPISODE, 5, 10));
    await log.append(turns(EPISODE, 10, 15));
    for (const { events } of await both) expect(ofStream(events, EPISODE)).toEqual(ids(turns(EPISODE, 0, 15)));
    for (const reader of readers) {
      expect(ids(await reader.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 15)));
      await reader.close();
    }
  });

  it('refuses what is no cursor', async () => {
    await expect(collect(subject().log, 'no cursor', 1)).rejects.toMatchObject({ code: 'INVALID' });
  });
}
