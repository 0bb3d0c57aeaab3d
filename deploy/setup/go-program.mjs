// A program for tests that is built with `go install` once and cached by version, or one that is given.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE, logFile } from './layout.mjs';
import { withLock } from './lock.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */
/** `given`: the variable that names one; `needs`: of Go. @typedef {{ label: string, name: string, path: string, version: string, given: string, takes: string, needs: string }} GoProgram */

/** @param {Progress} progress @param {GoProgram} program @returns {Promise<Tool>} */
export async function prepareGoProgram(progress, program) {
  const { label, name, version, given, takes } = program;
  const own = process.env[given];
  if (own) {
    if (!runs(own)) throw new SetupFailure(`${given}=${own} does not start.`, `Set it to ${label}'s executable, or unset it.`);
    return { executable: own, version: 'given', source: given };
  }
  const directory = join(CACHE, `${name}-${version}`);
  const executable = join(directory, name);
  let source = 'cached';
  await withLock(`${directory}.lock`, { onWait: (holder) => progress.say(`${label} is being built by ${holder}, waiting for it`) }, async () => {
    if (existsSync(executable)) return;
    source = 'built with Go';
    await progress.step(`${label}: go install (about ${takes}, once)`, () => build(directory, program));
    progress.say(`${label}: ${source} (${executable})`);
  });
  return { executable, version, source: `${source} (${executable})` };
}

/** @param {string} executable */
function runs(executable) {
  return outputOf(executable, ['--version']) !== null;
}

/** Whole or not at all. @param {string} directory @param {GoProgram} program */
async function build(directory, { label, name, path, version, given, needs }) {
  if (outputOf('go', ['version']) === null) {
    throw new SetupFailure(`${label} is built with Go, and there is no go on the PATH.`, `Install Go ${needs} or newer, or set ${given} to ${label}'s executable.`);
  }
  const partial = `${directory}.partial`;
  const log = logFile(`${name}-go-install`);
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  await runCommand('go', ['install', '-ldflags', '-s -w', `${path}@${version}`], {
    env: { GOBIN: partial, CGO_ENABLED: '0' }, log, remedy: `Is the network up and Go ${needs} or newer? Then run the same command again.`,
  });
  if (!runs(join(partial, name))) throw new SetupFailure(`${label} was built, but it does not run.`, `Look at ${log}.`);
  rmSync(directory, { recursive: true, force: true });
  renameSync(partial, directory);
}
