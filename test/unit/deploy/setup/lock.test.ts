import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { holderOf, withLock } from '../../../../deploy/setup/lock.mjs';

let lock = '';
let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'stemma-lock-'));
  lock = join(directory, 'lock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A pid that no process has: Linux and macOS stop far below. */
const NOBODY = 2 ** 30;
const silent = { onWait: () => undefined };

it('lets one in at a time and says who is waited for', async () => {
  const order: string[] = [];
  let release!: () => void;
  const held = new Promise<void>((resolve) => { release = resolve; });
  const first = withLock(lock, silent, async () => {
    order.push('first in');
    await held;
    order.push('first out');
  });
  const second = withLock(lock, { onWait: (holder) => { order.push(`waits for ${holder}`); release(); } }, async () => { order.push('second in'); });
  await Promise.all([first, second]);
  expect(order).toEqual(['first in', `waits for process ${process.pid}`, 'first out', 'second in']);
  expect(existsSync(lock)).toBe(false);
});

it('is free again after a failure', async () => {
  await expect(withLock(lock, silent, async () => { throw new Error('no'); })).rejects.toThrow('no');
  expect(await withLock(lock, silent, async () => 1)).toBe(1);
});

it('takes over from a process that is gone', async () => {
  writeFileSync(lock, `${hostname()} ${NOBODY}`);
  expect(holderOf(lock)).toBeNull();
  expect(await withLock(lock, silent, async () => 1)).toBe(1);
});

it('waits for another machine while it touches the lock, not longer', () => {
  writeFileSync(lock, `elsewhere ${NOBODY}`);
  expect(holderOf(lock)).toBe(`process ${NOBODY}`);
  const longAgo = Date.now() / 1000 - 120;
  utimesSync(lock, longAgo, longAgo);
  expect(holderOf(lock)).toBeNull();
});
