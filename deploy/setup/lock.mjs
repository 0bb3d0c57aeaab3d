// A lock file with the holder's pid. The holder touches it every few seconds; a lock is free again when its process is
// gone, or when nobody has touched it for a while (the holder was on another machine or in another container).
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const TOUCH_EVERY_MS = 5_000;
const ABANDONED_AFTER_MS = 60_000;
const ASK_AGAIN_MS = 250;

/**
 * @template T
 * @param {string} path
 * @param {{ onWait: (holder: string) => void }} events called once if another process holds it
 * @param {() => Promise<T>} body
 * @returns {Promise<T>}
 */
export async function withLock(path, { onWait }, body) {
  mkdirSync(dirname(path), { recursive: true });
  let waited = false;
  while (!take(path)) {
    const holder = holderOf(path);
    if (holder === null) {
      rmSync(path, { force: true });
      continue;
    }
    if (!waited) onWait(holder);
    waited = true;
    await delay(ASK_AGAIN_MS);
  }
  const touch = setInterval(() => utimesSync(path, new Date(), new Date()), TOUCH_EVERY_MS);
  const release = () => rmSync(path, { force: true });
  process.once('exit', release);
  try {
    return await body();
  } finally {
    clearInterval(touch);
    process.removeListener('exit', release);
    release();
  }
}

/** @param {string} path */
function take(path) {
  try {
    const file = openSync(path, 'wx');
    writeSync(file, `${hostname()} ${process.pid}`);
    closeSync(file);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** Who holds it, or null when it is free or abandoned. @param {string} path @returns {string | null} */
export function holderOf(path) {
  try {
    const [host, pid] = readFileSync(path, 'utf8').split(' ');
    const ageMs = Date.now() - statSync(path).mtimeMs;
    if (ageMs > ABANDONED_AFTER_MS) return null;
    if (pid !== undefined && host === hostname() && !isAlive(Number(pid))) return null;
    return `process ${pid ?? '?'}`;
  } catch {
    return null;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
