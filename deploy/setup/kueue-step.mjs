// The kinds of Kueue as its Go module has them, for the test that runs wait in its queues.
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE } from './layout.mjs';
import { withLock } from './lock.mjs';
import { KUEUE } from './versions.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

const KINDS = join('config', 'components', 'crd', 'bases');

/** @param {Progress} progress @returns {Promise<Tool>} a folder with one file a kind */
export async function prepareKueue(progress) {
  const directory = join(CACHE, `kueue-${KUEUE}`);
  let source = 'cached';
  await withLock(`${directory}.lock`, { onWait: (holder) => progress.say(`Kueue is being fetched by ${holder}, waiting for it`) }, async () => {
    if (existsSync(directory)) return;
    source = 'Go module';
    await progress.step(`Kueue ${KUEUE}: go mod download (once)`, () => Promise.resolve(fetchKinds(directory)));
  });
  return { executable: directory, version: KUEUE, source: `${source} (${directory})` };
}

/** @param {string} directory */
function fetchKinds(directory) {
  const printed = outputOf('go', ['mod', 'download', '-json', `sigs.k8s.io/kueue@${KUEUE}`]);
  if (printed === null) throw new SetupFailure('The kinds of Kueue are in its Go module, and that could not be fetched.', 'Is Go installed and the network up? Then run the same command again.');
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  // The module cache is read-only; copies are not to be.
  cpSync(join(/** @type {{ Dir: string }} */ (JSON.parse(printed)).Dir, KINDS), partial, { recursive: true, mode: 0 });
  renameSync(partial, directory);
}
