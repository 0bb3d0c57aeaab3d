// A Chromium for the tests that drive the Temporal UI: the one on the PATH, else Debian's package (as root), else Playwright's own download.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { outputOf, runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE, ROOT, logFile } from './layout.mjs';
import { withLock } from './lock.mjs';
import { filesUnder } from './stamp.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const DOWNLOADED = join(CACHE, 'chromium');
const BY_HAND = 'Install Chromium yourself (Debian: apt-get install chromium; macOS: brew install --cask chromium), or set STEMMA_CHROMIUM to its program.';

/** @param {Progress} progress @returns {Promise<Tool>} */
export async function prepareChromium(progress) {
  const given = process.env['STEMMA_CHROMIUM'];
  if (given) {
    if (versionOf(given) === null) throw new SetupFailure(`STEMMA_CHROMIUM=${given} does not start.`, 'Set it to a Chromium or Chrome, or unset it.');
    return tool(given, 'STEMMA_CHROMIUM');
  }
  const found = onPath() ?? downloaded();
  if (found !== null) return tool(found, `found (${found})`);
  return withLock(`${DOWNLOADED}.lock`, { onWait: (holder) => progress.say(`Chromium: another set-up is preparing it (${holder}), waiting`) }, async () => {
    const problems = [];
    for (const [how, install] of /** @type {const} */ ([['installed with apt-get', withApt], ['downloaded by Playwright', withPlaywright]])) {
      const problem = await progress.step(`Chromium: ${how}`, () => install().then(() => null, (error) => error instanceof SetupFailure ? error.message.split('\n')[0] : Promise.reject(error)));
      const executable = onPath() ?? downloaded();
      if (executable !== null) {
        progress.say(`Chromium: ${how} (${executable})`);
        return tool(executable, how);
      }
      problems.push(`${how}: ${problem ?? 'it does not start'}`);
    }
    throw new SetupFailure(`There is no Chromium on the PATH, and it could not be had (${problems.join('; ')}).`, BY_HAND);
  });
}

/** @param {string} executable @param {string} source @returns {Tool} */
function tool(executable, source) {
  return { executable, version: versionOf(executable) ?? '', source };
}

/** @param {string} executable @returns {string | null} */
function versionOf(executable) {
  return existsSync(executable) ? /(\d+\.\d+[\d.]*)/.exec(outputOf(executable, ['--version']) ?? '')?.[1] ?? null : null;
}

/** @returns {string | null} */
function onPath() {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  return NAMES.flatMap((name) => directories.map((directory) => join(directory, name))).find((executable) => versionOf(executable) !== null) ?? null;
}

/** @returns {string | null} */
function downloaded() {
  const ends = ['/chrome-headless-shell', '/headless_shell', '/Chromium'];
  return filesUnder(DOWNLOADED, ends).find((executable) => versionOf(executable) !== null) ?? null;
}

async function withApt() {
  if (process.getuid?.() !== 0 || outputOf('apt-get', ['--version']) === null) throw new SetupFailure('not root on a Debian', BY_HAND);
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, remedy: BY_HAND };
  await runCommand('apt-get', ['update'], { ...options, log: logFile('chromium-apt-update') });
  await runCommand('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], { ...options, log: logFile('chromium-apt-install') });
}

/** Needs what the package set-up installed. */
async function withPlaywright() {
  const program = join(ROOT, 'node_modules/playwright-core/cli.js');
  if (!existsSync(program)) throw new SetupFailure('npm packages are not installed', 'Run `npm run setup` first.');
  await runCommand(process.execPath, [program, 'install', 'chromium-headless-shell'], { env: { PLAYWRIGHT_BROWSERS_PATH: DOWNLOADED }, log: logFile('chromium-playwright'), remedy: BY_HAND });
}
