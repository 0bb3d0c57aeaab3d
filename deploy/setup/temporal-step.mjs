// The Temporal dev server: the one on the PATH, else the cached one, else its own download, else built with Go.
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { downloadArchive } from './archive.mjs';
import { outputOf, runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE, logFile, STATE } from './layout.mjs';
import { withLock } from './lock.mjs';
import { readJson, writeWhole } from './stamp.mjs';
import { TEMPORAL_CLI, temporalVersionProblem } from './versions.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

const DOWNLOADS = 'https://temporal.download/cli/archive';

/** @param {Progress} progress @returns {Promise<Tool>} */
export async function prepareTemporal(progress) {
  const given = process.env['STEMMA_TEMPORAL'];
  if (given) return givenTemporal(given);
  const remembered = join(STATE, 'temporal.json');
  /** @type {{ mtimeMs: number, tool: Tool }} */
  const last = readJson(remembered);
  if (last.tool !== undefined && last.mtimeMs === modified(last.tool.executable)) return last.tool;

  const tool = onPath(progress) ?? await cached(progress);
  progress.say(`Temporal dev server ${tool.version}: ${tool.source}`);
  writeWhole(remembered, JSON.stringify({ mtimeMs: modified(tool.executable), tool }));
  return tool;
}

/** @param {string} executable @returns {Tool} */
function givenTemporal(executable) {
  const printed = outputOf(executable, ['--version']);
  const problem = printed === null ? 'it does not start' : temporalVersionProblem(printed);
  if (problem !== null) throw new SetupFailure(`STEMMA_TEMPORAL=${executable} cannot be used: ${problem}.`, 'Set STEMMA_TEMPORAL to a newer Temporal CLI, or unset it.');
  return { executable, version: serverOf(printed ?? ''), source: 'STEMMA_TEMPORAL' };
}

/** @param {string} printed @returns {string} like `1.29.1` */
function serverOf(printed) {
  return /\bServer (\d+\.\d+\.\d+)/.exec(printed)?.[1] ?? printed;
}

/** @param {string} file */
function modified(file) {
  return existsSync(file) ? statSync(file).mtimeMs : null;
}

/** @param {Progress} progress @returns {Tool | null} */
function onPath(progress) {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const executable = join(directory, 'temporal');
    if (directory === '' || !existsSync(executable)) continue;
    const printed = outputOf(executable, ['--version']) ?? '';
    const problem = temporalVersionProblem(printed);
    if (problem === null) return { executable, version: serverOf(printed), source: `found on the PATH (${executable})` };
    progress.say(`Temporal: ${executable} is not used: ${problem}`);
  }
  return null;
}

/** @param {Progress} progress @returns {Promise<Tool>} */
async function cached(progress) {
  const directory = join(CACHE, `temporal-cli-${TEMPORAL_CLI}`);
  const executable = join(directory, 'temporal');
  return withLock(`${directory}.lock`, {
    onWait: (holder) => progress.say(`Temporal: another set-up is preparing it (${holder}), waiting`),
  }, async () => {
    let source = usable(executable) === null ? null : 'cached';
    if (source === null) {
      const partial = `${directory}.partial`;
      rmSync(partial, { recursive: true, force: true });
      mkdirSync(partial, { recursive: true });
      source = await obtain(progress, partial);
      if (usable(join(partial, 'temporal')) === null) {
        throw new SetupFailure(`The Temporal dev server was ${source}, but it does not run.`, 'Install the Temporal CLI yourself so that `temporal --version` works, and run the same command again.');
      }
      rmSync(directory, { recursive: true, force: true });
      renameSync(partial, directory);
    }
    return { executable, version: serverOf(usable(executable) ?? ''), source: `${source} (${executable})` };
  });
}

/** What it prints as its version, or null. @param {string} executable */
function usable(executable) {
  const printed = existsSync(executable) ? outputOf(executable, ['--version']) : null;
  return printed !== null && temporalVersionProblem(printed) === null ? printed : null;
}

/** @param {Progress} progress @param {string} directory @returns {Promise<string>} how it was had */
async function obtain(progress, directory) {
  const problem = await progress.step(`Temporal dev server ${TEMPORAL_CLI}: download`, () => download(directory));
  if (problem === null) return 'downloaded';
  progress.say(`Temporal: could not be downloaded (${problem}), so it is built from source`);
  if (outputOf('go', ['version']) === null) {
    throw new SetupFailure(
      `The Temporal dev server is not on the PATH, could not be downloaded (${problem}), and Go is not installed to build it.`,
      'Install the Temporal CLI (macOS: brew install temporal) or Go 1.25 or newer, and run the same command again.',
    );
  }
  await progress.step(`Temporal dev server ${TEMPORAL_CLI}: go install (about 3 minutes, once)`, () => runCommand('go', [
    'install', '-ldflags', '-s -w', `github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_CLI}`,
  ], {
    env: { GOBIN: directory, CGO_ENABLED: '0' }, log: logFile('temporal-go-install'),
    remedy: 'Is the network up and Go 1.25 or newer? Or install the Temporal CLI yourself. Then run the same command again.',
  }));
  return 'built with Go';
}

/** Temporal's own archive for this platform. @param {string} directory @returns {Promise<string | null>} the problem, or null */
export function download(directory, address = DOWNLOADS) {
  const platform = `platform=${process.platform}&arch=${process.arch === 'x64' ? 'amd64' : process.arch}`;
  return downloadArchive(`${address}/v${TEMPORAL_CLI}?${platform}`, directory, ['temporal']);
}
