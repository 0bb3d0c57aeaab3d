import { describe, expect, test } from 'vitest';
import { WorkQueue } from '../../../../k8s/operator/queue.js';

/** A promise to be settled from outside. */
function latch(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => { open = resolve; });
  return { opened, open };
}

describe('the work queue', () => {
  test('never works on a key twice at a time, and once more for whatever came meanwhile', async () => {
    const gate = latch();
    const twice = latch();
    let running = 0;
    let most = 0;
    let looks = 0;
    const queue = new WorkQueue({
      workers: 4, onFailure: (_key, error) => { throw error; },
      async work() {
        most = Math.max(most, (running += 1));
        looks += 1;
        if (looks === 1) await gate.opened;
        else twice.open();
        running -= 1;
        return null;
      },
    });
    for (let i = 0; i < 5; i += 1) queue.add('a');
    gate.open();
    await twice.opened;
    await queue.close();
    expect({ most, looks }).toEqual({ most: 1, looks: 2 });
  });

  test('works on other keys meanwhile, on no more than it has workers', async () => {
    const gate = latch();
    const all = latch();
    const seen = new Set<string>();
    let running = 0;
    let most = 0;
    const queue = new WorkQueue({
      workers: 2, onFailure: (_key, error) => { throw error; },
      async work(key) {
        most = Math.max(most, (running += 1));
        await gate.opened;
        running -= 1;
        seen.add(key);
        if (seen.size === 6) all.open();
        return null;
      },
    });
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) queue.add(key);
    gate.open();
    await all.opened;
    await queue.close();
    expect(most).toBe(2);
  });

  test('tries failures again later and later, and from the start after a success', async () => {
    const waits: number[] = [];
    const done = latch();
    let looks = 0;
    const queue: WorkQueue = new WorkQueue({
      workers: 1, firstRetryMs: 1, longestRetryMs: 4, onFailure: (_key, _error, retryInMs) => waits.push(retryInMs),
      work() {
        looks += 1;
        if (looks === 5) queue.add('a');
        if (looks === 7) done.open();
        return looks === 5 || looks === 7 ? Promise.resolve(null) : Promise.reject(new Error('no'));
      },
    });
    queue.add('a');
    await done.opened;
    await queue.close();
    expect(waits).toEqual([1, 2, 4, 4, 1]);
  });

  test('looks again when it was told to, and never after it was closed', async () => {
    const third = latch();
    let looks = 0;
    const queue = new WorkQueue({
      workers: 1, onFailure: (_key, error) => { throw error; },
      work: () => {
        looks += 1;
        if (looks === 3) third.open();
        return Promise.resolve(looks === 3 ? null : 1);
      },
    });
    queue.add('a');
    await third.opened;
    await queue.close();
    queue.add('a');
    expect(looks).toBe(3);
  });
});
