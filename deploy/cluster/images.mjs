// Images into the node's store: there is no registry, so what a pod names must be there before.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure } from '../setup/failure.mjs';
import { inside, lastLines } from './host.mjs';
import { STATE } from './layout.mjs';

const RECORD = join(STATE, 'images.json');

/** An OCI archive that names its image in full, or by its tag only: then `name` is the rest. @typedef {{ archive: string, name?: string }} Archive */

/**
 * Loads each archive that is not loaded yet, as it is now.
 * @param {readonly Archive[]} archives @param {(line: string) => void} say @returns {number} how many were new
 */
export function loadImages(archives, say) {
  /** @type {Record<string, string>} */
  const loaded = existsSync(RECORD) ? JSON.parse(readFileSync(RECORD, 'utf8')) : {};
  let fresh = 0;
  for (const { archive, name } of archives) {
    const { size, mtimeMs } = statSync(archive);
    const print = createHash('sha256').update(`${size} ${mtimeMs}`).digest('hex');
    if (loaded[archive] === print) continue;
    const startedAt = performance.now();
    const { status, stdout, stderr } = inside(['ctr', '--namespace', 'k8s.io', 'images', 'import', ...(name === undefined ? [] : ['--base-name', name]), archive]);
    const names = [...stdout.matchAll(/unpacking (\S+)/g)].map((match) => match[1]);
    if (status !== 0 || names.length === 0) {
      throw new SetupFailure(`The image in ${archive} could not be loaded: ${stderr.trim().split('\n').at(-1) || 'it names no image'}\ncontainerd's log ends:\n${lastLines('containerd')}`,
        'Is it an OCI archive (npm run images makes them), and is the disk full? Then run the same command again.');
    }
    say(`image ${names.join(', ')}: loaded in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
    fresh += 1;
    loaded[archive] = print;
    writeFileSync(RECORD, JSON.stringify(loaded, null, 2));
  }
  return fresh;
}
