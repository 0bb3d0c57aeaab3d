// MinIO, an S3-compatible server, for tests: the one that is given, else the cached one, else built with Go. Its last
// release has no binaries, and users bring their own buckets.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE, logFile } from './layout.mjs';
import { withLock } from './lock.mjs';
import { MINIO } from './versions.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

/** @param {Progress} progress @returns {Promise<Tool>} */
export async function prepareMinio(progress) {
  const given = process.env['STEMMA_TEST_MINIO'];
  if (given) {
    if (!runs(given)) throw new SetupFailure(`STEMMA_TEST_MINIO=${given} does not start.`, 'Set it to a MinIO server, or unset it.');
    return { executable: given, version: 'given', source: 'STEMMA_TEST_MINIO' };
  }
  const directory = join(CACHE, `minio-${MINIO}`);
  const executable = join(directory, 'minio');
  let source = 'cached';
  await withLock(`${directory}.lock`, { onWait: (holder) => progress.say(`MinIO is being built by ${holder}, waiting for it`) }, async () => {
    if (existsSync(executable)) return;
    source = 'built with Go';
    await progress.step('MinIO: go install (about 3 minutes, once)', () => build(directory));
    progress.say(`MinIO: ${source} (${executable})`);
  });
  return { executable, version: MINIO, source: `${source} (${executable})` };
}

/** @param {string} executable */
function runs(executable) {
  return outputOf(executable, ['--version']) !== null;
}

/** @param {string} directory */
async function build(directory) {
  if (outputOf('go', ['version']) === null) {
    throw new SetupFailure('MinIO is built with Go, and there is no go on the PATH.', 'Install Go 1.25 or newer, or set STEMMA_TEST_MINIO to a MinIO server.');
  }
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  await runCommand('go', ['install', '-ldflags', '-s -w', `github.com/minio/minio@${MINIO}`], {
    env: { GOBIN: partial, CGO_ENABLED: '0' }, log: logFile('minio-go-install'),
    remedy: 'Is the network up and Go 1.25 or newer? Then run the same command again.',
  });
  if (!runs(join(partial, 'minio'))) throw new SetupFailure('MinIO was built, but it does not run.', `Look at ${logFile('minio-go-install')}.`);
  rmSync(directory, { recursive: true, force: true });
  renameSync(partial, directory);
}
