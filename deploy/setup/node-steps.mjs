// npm packages, generated TypeScript, compiled JavaScript.
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runCommand } from './command.mjs';
import { logFile, ROOT, stampFile } from './layout.mjs';
import { filesUnder, hashContents, hashOf, hashTimes, textOf, unlessStamped, writeWhole } from './stamp.mjs';

/** @import { Progress } from './progress.mjs' */
/** @typedef {Record<string, { version?: string, integrity?: string, optional?: boolean, link?: boolean }>} LockedPackages */

export const COMPILED_FOLDERS = ['proto/gen', 'core', 'environments', 'workflows', 'services', 'k8s'];

/** @param {Progress} progress */
export async function installPackages(progress) {
  const stamp = join(ROOT, 'node_modules', '.stemma-setup');
  const lock = textOf(join(ROOT, 'package-lock.json'));
  const { allowScripts = {} } = JSON.parse(textOf(join(ROOT, 'package.json')));
  const runtime = `${process.platform} ${process.arch} ${process.versions.modules}`;
  const hash = hashOf([lock, JSON.stringify(allowScripts), runtime]);
  const stamped = textOf(stamp).trim();
  if (stamped === `${hash} ${runtime}`) return;
  const sameRuntime = stamped === '' || stamped.endsWith(runtime);
  if (!sameRuntime || !installedAsLocked(lock, textOf(join(ROOT, 'node_modules', '.package-lock.json')))) {
    const [command, ...first] = npmCommand();
    await progress.step('npm packages (npm ci)', () => runCommand(command, [...first, 'ci', '--include=dev', '--no-audit', '--no-fund'], {
      cwd: ROOT, log: logFile('npm-ci'), remedy: 'Is the network up, and can native packages be compiled here (python3, make, a C++ compiler)? Then run the same command again.',
    }));
  }
  writeWhole(stamp, `${hash} ${runtime}\n`);
}

/**
 * npm writes node_modules/.package-lock.json as its last act: if that agrees with the lock, the packages are all there.
 * @param {string} lock @param {string} installed @returns {boolean}
 */
export function installedAsLocked(lock, installed) {
  if (installed === '') return false;
  /** @type {LockedPackages} */
  const wanted = JSON.parse(lock).packages;
  /** @type {LockedPackages} */
  const present = JSON.parse(installed).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    const found = present[path];
    if (path === '' || (found === undefined && entry.optional)) return true;
    return found !== undefined && found.version === entry.version && found.integrity === entry.integrity;
  });
}

/** The npm that runs us, else the one on the PATH. @returns {[string, ...string[]]} */
function npmCommand() {
  const runner = process.env['npm_execpath'];
  return runner !== undefined && basename(runner) === 'npm-cli.js' ? [process.execPath, runner] : ['npm'];
}

/** @param {Progress} progress */
export async function generateTypeScript(progress) {
  const sources = filesUnder(join(ROOT, 'proto'), ['.proto', 'buf.yaml', 'buf.gen.yaml']);
  const generator = textOf(join(ROOT, 'node_modules', 'ts-proto', 'package.json'));
  await unlessStamped({
    file: stampFile('proto-typescript'),
    hash: hashOf([hashContents(sources), generator]),
    isThere: () => existsSync(join(ROOT, 'proto/gen/stemma/v1/events.ts')),
  }, () => progress.step('protocol code for TypeScript (buf generate)', () => runCommand(join(ROOT, 'node_modules/.bin/buf'), ['generate'], {
    cwd: join(ROOT, 'proto'), log: logFile('buf-generate'), remedy: 'Correct the .proto file it names (npm run check says more).',
  })));
}

/** @param {Progress} progress */
export async function compile(progress) {
  const sources = COMPILED_FOLDERS.flatMap((folder) => filesUnder(join(ROOT, folder), ['.ts', 'tsconfig.json']));
  const main = join(ROOT, 'dist/services/cli/main.js');
  await unlessStamped({
    file: stampFile('compile'),
    hash: hashTimes([...sources, join(ROOT, 'tsconfig.base.json'), join(ROOT, 'tsconfig.json')]),
    isThere: () => existsSync(main),
  }, async () => {
    // tsc -b believes its build info; where the output it tells of is gone, only --force makes it look.
    const force = existsSync(main) ? [] : ['--force'];
    await progress.step('compile (tsc -b)', () => runCommand(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b', ...force], {
      cwd: ROOT, log: logFile('compile'), remedy: 'Correct the type errors it names.',
    }));
    // Bundled here, a start of the services saves a second and a half.
    await progress.step('bundle the workflows', () => runCommand(process.execPath, [join(ROOT, 'dist/services/worker/bundle.js')], {
      cwd: ROOT, log: logFile('bundle'), remedy: 'Correct the workflow code it names: workflows/ may import only core and @temporalio/workflow.',
    }));
  });
}
