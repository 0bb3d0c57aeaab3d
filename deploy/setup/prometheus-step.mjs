// Prometheus and promtool, for tests: those on the PATH, else the cached ones, else their own download, else built with Go.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { downloadArchive } from './archive.mjs';
import { outputOf, runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE, logFile } from './layout.mjs';
import { withLock } from './lock.mjs';
import { PROMETHEUS, prometheusVersionProblem } from './versions.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

const DOWNLOADS = 'https://github.com/prometheus/prometheus/releases/download';
const MODULE = 'github.com/prometheus/prometheus';
/** Its Go module counts v0.313.5 where the program is 3.13.5. */
const MODULE_VERSION = PROMETHEUS.replace(/^(\d+)\.(\d+)\./, (_, major, minor) => `v0.${major}${minor.padStart(2, '0')}.`);

/** `executable` is prometheus; promtool lies beside it. @param {Progress} progress @returns {Promise<Tool>} */
export async function preparePrometheus(progress) {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  const onPath = directories.map((directory) => join(directory, 'prometheus')).find((executable) => usable(executable) !== null);
  if (onPath !== undefined) return { executable: onPath, version: usable(onPath) ?? '', source: `found on the PATH (${onPath})` };
  const directory = join(CACHE, `prometheus-${PROMETHEUS}`);
  const executable = join(directory, 'prometheus');
  let source = 'cached';
  await withLock(`${directory}.lock`, { onWait: (holder) => progress.say(`Prometheus: another set-up is preparing it (${holder}), waiting`) }, async () => {
    if (usable(executable) !== null) return;
    const partial = `${directory}.partial`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    source = await obtain(progress, partial);
    if (usable(join(partial, 'prometheus')) === null) throw new SetupFailure(`Prometheus was ${source}, but it does not run.`, 'Install Prometheus so that prometheus and promtool are on the PATH, and run the same command again.');
    rmSync(directory, { recursive: true, force: true });
    renameSync(partial, directory);
    progress.say(`Prometheus ${PROMETHEUS}: ${source} (${directory})`);
  });
  return { executable, version: PROMETHEUS, source: `${source} (${executable})` };
}

/** Its version, or null where it or promtool is missing or too old. @param {string} executable */
function usable(executable) {
  if (!existsSync(executable) || !existsSync(join(dirname(executable), 'promtool'))) return null;
  const printed = outputOf(executable, ['--version']) ?? '';
  return prometheusVersionProblem(printed) === null ? /version (\S+)/.exec(printed)?.[1] ?? null : null;
}

/** @param {Progress} progress @param {string} directory @returns {Promise<string>} how it was had */
async function obtain(progress, directory) {
  const name = `prometheus-${PROMETHEUS}.${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const problem = await progress.step(`Prometheus ${PROMETHEUS}: download`, () => downloadArchive(`${DOWNLOADS}/v${PROMETHEUS}/${name}.tar.gz`, directory,
    ['--strip-components=1', `${name}/prometheus`, `${name}/promtool`]));
  if (problem === null) return 'downloaded';
  progress.say(`Prometheus: could not be downloaded (${problem}), so it is built from source`);
  if (outputOf('go', ['version']) === null) {
    throw new SetupFailure(`Prometheus is not on the PATH, could not be downloaded (${problem}), and Go is not installed to build it.`,
      'Install Prometheus (Debian: prometheus; macOS: brew install prometheus) or Go 1.26 or newer, and run the same command again.');
  }
  await progress.step(`Prometheus ${PROMETHEUS}: build with Go (about 3 minutes, once)`, () => build(directory));
  return 'built with Go';
}

/**
 * In a module of its own: its go.mod replaces and excludes modules, which `go install …@version` refuses. Without the service
 * discoveries of clouds, which are most of it, and without its web page. @param {string} directory
 */
async function build(directory) {
  const source = join(directory, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'go.mod'), `module stemma/prometheus\n\nrequire ${MODULE} ${MODULE_VERSION}\n`);
  const commands = ['prometheus', 'promtool'].map((command) => `${MODULE}/cmd/${command}`);
  const options = { cwd: source, env: { GOBIN: directory, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' }, remedy: 'Is the network up and Go 1.26 or newer? Or install Prometheus yourself. Then run the same command again.' };
  await runCommand('go', ['get', ...commands.map((command) => `${command}@${MODULE_VERSION}`)], { ...options, log: logFile('prometheus-go-get') });
  await runCommand('go', ['install', '-tags', 'remove_all_sd', '-ldflags', `-s -w -X github.com/prometheus/common/version.Version=${PROMETHEUS}`, ...commands], { ...options, log: logFile('prometheus-go-install') });
  rmSync(source, { recursive: true, force: true });
}
