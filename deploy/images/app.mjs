// The stage `app` of stemma.Dockerfile: what the services need at run time, without what builds and tests them.
//   node deploy/images/app.mjs OUT        → OUT/opt/stemma
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../setup/layout.mjs';
import { outputOf } from '../setup/command.mjs';
import { readJson } from '../setup/stamp.mjs';

/** @param {string} out @param {{ addon?: string }} options addon: better_sqlite3.node for the image's Node, where it is not this one */
export function assembleApp(out, { addon } = {}) {
  const app = join(out, 'opt', 'stemma');
  mkdirSync(app, { recursive: true });
  for (const name of ['dist', 'recipes', 'package.json']) cpSync(join(ROOT, name), join(app, name), { recursive: true, filter: (path) => !path.endsWith('.tsbuildinfo') });
  for (const folder of ['deploy', 'test']) rmSync(join(app, 'dist', folder), { recursive: true, force: true });
  chmodSync(join(app, 'dist', 'services', 'cli', 'main.js'), 0o755);
  mkdirSync(join(app, 'proto'), { recursive: true });
  cpSync(join(ROOT, 'proto', 'openapi.json'), join(app, 'proto', 'openapi.json'));
  packages(app, addon);
  writeFileSync(join(app, 'revision'), `${revision()}\n`);
}

/** What the runs of this image say of their code. An image of the same code from a later commit is not built again, so it is the first one's. */
function revision() {
  return process.env['REVISION'] || (outputOf('git', ['-C', ROOT, 'describe', '--always', '--dirty']) ?? '');
}

/** @param {string} app @param {string | undefined} addon */
function packages(app, addon) {
  const modules = join(app, 'node_modules');
  // Hard links where they can be: what follows only unlinks.
  try {
    execFileSync('cp', ['-al', join(ROOT, 'node_modules'), app], { stdio: 'ignore' });
  } catch {
    rmSync(modules, { recursive: true, force: true });
    execFileSync('cp', ['-a', join(ROOT, 'node_modules'), app]);
  }
  for (const path of developmentOnly(readJson(join(ROOT, 'package-lock.json')))) rmSync(join(app, path), { recursive: true, force: true });
  for (const name of readdirSync(modules)) if (name.startsWith('.')) rmSync(join(modules, name), { recursive: true });
  const releases = join(modules, '@temporalio', 'core-bridge', 'releases');
  const mine = `${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-unknown-linux-gnu`;
  for (const name of existsSync(releases) ? readdirSync(releases) : []) if (name !== mine) rmSync(join(releases, name), { recursive: true });
  const sqlite = join(modules, 'better-sqlite3');
  for (const name of ['deps', 'src', 'binding.gyp']) rmSync(join(sqlite, name), { recursive: true, force: true });
  const built = join(sqlite, 'build', 'Release', 'better_sqlite3.node');
  const bytes = join(app, 'addon');
  cpSync(addon ?? built, bytes);
  rmSync(join(sqlite, 'build'), { recursive: true });
  mkdirSync(join(sqlite, 'build', 'Release'), { recursive: true });
  cpSync(bytes, built);
  rmSync(bytes);
}

/** Paths that the lock names for development only. @param {{ packages: Record<string, { dev?: boolean }> }} lock @returns {string[]} */
export function developmentOnly(lock) {
  return Object.entries(lock.packages).filter(([, entry]) => entry.dev === true).map(([path]) => path);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) assembleApp(process.argv[2] ?? '/');
