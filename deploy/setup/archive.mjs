// A tool's own archive, where its maker's server can be reached.
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ANSWER_WITHIN_MS = 10_000;
const DOWNLOAD_WITHIN_MS = 300_000;

/**
 * @param {string} url of a .tar.gz @param {string} directory @param {readonly string[]} unpack what tar is told besides
 * @returns {Promise<string | null>} the problem, or null
 */
export async function downloadArchive(url, directory, unpack) {
  const archive = join(directory, 'archive.tar.gz');
  try {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error('no answer in time')), ANSWER_WITHIN_MS);
    const response = await fetch(url, { signal: AbortSignal.any([late.signal, AbortSignal.timeout(DOWNLOAD_WITHIN_MS)]) });
    clearTimeout(timer);
    if (!response.ok) return `the server answered ${response.status}`;
    writeFileSync(archive, Buffer.from(await response.arrayBuffer()));
    const unpacked = spawnSync('tar', ['-xzf', archive, '-C', directory, ...unpack], { encoding: 'utf8' });
    rmSync(archive, { force: true });
    return unpacked.status === 0 ? null : `the archive could not be unpacked: ${unpacked.stderr?.trim() ?? unpacked.error?.message}`;
  } catch (error) {
    const cause = /** @type {{ cause?: { code?: string } }} */ (error).cause?.code;
    return cause ?? /** @type {Error} */ (error).message;
  }
}
