// A base image where no registry can be reached: Debian by mmdebstrap, Node from its npm package. With it comes the addon
// that is compiled for one version of Node (better-sqlite3), as `npm ci` would compile it in that image.
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { outputOf, runCommand } from '../setup/command.mjs';
import { SetupFailure } from '../setup/failure.mjs';
import { logFile, ROOT } from '../setup/layout.mjs';
import { hashOf, readJson } from '../setup/stamp.mjs';

/** @import { Progress } from '../setup/progress.mjs' */
/** @typedef {{ progress: Progress, cache: string }} Around */

/** As in the Dockerfiles' BASE. */
export const NODE = '24.22.3';
const SUITE = 'bookworm';
/** What the sidecar and the sandbox of tools need is in the one base: vfs copies a whole image for each layer. */
export const NODE_PACKAGES = ['ca-certificates', 'python3', 'libstdc++6', 'bubblewrap'];
const ADDON = join('build', 'Release', 'better_sqlite3.node');
export const JAVA_PACKAGES = ['ca-certificates', 'openjdk-17-jre-headless'];

/** Made once, whole or not at all. @param {string} path @param {(partial: string) => Promise<void>} make */
export async function once(path, make) {
  if (existsSync(path)) return path;
  const partial = `${path}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  await make(partial);
  renameSync(partial, path);
  return path;
}

/** A context for base.Dockerfile. @param {Around} around @param {readonly string[]} packages @returns {Promise<string>} */
export async function baseContext({ progress, cache }, packages) {
  const node = await nodePackage({ progress, cache });
  return once(join(cache, `base-${hashOf([SUITE, NODE, ...packages]).slice(0, 12)}`), async (partial) => {
    mkdirSync(partial, { recursive: true });
    cpSync(join(node, 'bin', 'node'), join(partial, 'node'));
    await progress.step(`base image: Debian ${SUITE} with ${packages.join(', ')} (mmdebstrap, once)`, () => runCommand('mmdebstrap', [
      '--variant=essential', `--include=${packages.join(',')}`,
      SUITE, join(partial, 'rootfs.tar'), ...debianSources(),
    ], { log: logFile('images-mmdebstrap'), remedy: 'Is the network up, and does apt-get update work here? Then run the same command again.' }));
  });
}

/** Packages come from where this machine's own do. @returns {string[]} */
function debianSources() {
  return ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'].filter((file) => existsSync(file)).slice(0, 1);
}

/** Node's executable and headers. @param {Around} around @returns {Promise<string>} */
function nodePackage({ progress, cache }) {
  const name = `node-linux-${process.arch}`;
  return once(join(cache, `${name}-${NODE}`), (partial) => progress.step(`Node ${NODE} (npm package ${name})`, async () => {
    mkdirSync(partial, { recursive: true });
    await runCommand('npm', ['pack', `${name}@${NODE}`, '--silent', `--pack-destination=${partial}`], { log: logFile('images-node'), remedy: 'Is the network up? Then run the same command again.' });
    await runCommand('tar', ['-xzf', join(partial, `${name}-${NODE}.tgz`), '--strip-components=1', '-C', partial], { log: logFile('images-node-tar'), remedy: 'Run the same command again.' });
    rmSync(join(partial, `${name}-${NODE}.tgz`));
  }));
}

/** better_sqlite3.node for the image's Node. @param {Around} around @returns {Promise<string>} */
export async function sqliteAddon({ progress, cache }) {
  const node = await nodePackage({ progress, cache });
  const source = join(ROOT, 'node_modules', 'better-sqlite3');
  const { version } = readJson(join(source, 'package.json'));
  const directory = await once(join(cache, `better-sqlite3-${version}-node-${NODE}`), (partial) => progress.step(`better-sqlite3 ${version} for Node ${NODE} (about 2 minutes, once)`, async () => {
    cpSync(source, partial, { recursive: true, filter: (path) => !path.startsWith(join(source, 'build')) });
    await runCommand(process.execPath, [nodeGyp(), 'rebuild', '--release', `--nodedir=${node}`, `--target=${NODE}`], {
      // To node-gyp npm's configuration, which may name the headers of this machine's Node, goes before its own options.
      cwd: partial, env: { npm_config_nodedir: node, npm_config_target: NODE }, log: logFile('images-node-gyp'),
      remedy: 'Install python3, make and a C++ compiler (Debian: apt-get install python3 make g++).',
    });
    await runCommand(join(node, 'bin', 'node'), ['-e', 'process.dlopen({ exports: {} }, process.argv[1])', join(partial, ADDON)], {
      log: logFile('images-addon'), remedy: `The addon is not one for Node ${NODE}: ${logFile('images-node-gyp')} says with which headers it was compiled.`,
    });
  }));
  return join(directory, ADDON);
}

/** The one inside npm. @returns {string} */
function nodeGyp() {
  const found = [process.env['npm_execpath'] ?? '', join(outputOf('npm', ['root', '-g']) ?? '', 'npm', 'bin', 'npm-cli.js')]
    .map((npm) => join(dirname(dirname(npm)), 'node_modules', 'node-gyp', 'bin', 'node-gyp.js')).find((path) => existsSync(path));
  if (found === undefined) throw new SetupFailure('There is no node-gyp inside this npm.', 'Install npm 10 or newer.');
  return found;
}
