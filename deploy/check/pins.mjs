// Every dependency is pinned with a hash, and its licence is one that we may use. What lacks either is named.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const LICENCES = new Set(['Apache-2.0', 'MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'Python-2.0', 'CC-BY-4.0', 'Unlicense', 'MPL-2.0', 'WTFPL', 'CC0-1.0']);
/** Whose package.json names no licence, with what the LICENSE file in the package is. */
const UNSAID = new Map([['node_modules/unionfs', 'Unlicense']]);

/** @typedef {{ version?: string, integrity?: string, link?: boolean, license?: string }} Locked */

/** @param {{ dependencies?: Record<string, string>, devDependencies?: Record<string, string> }} manifest @param {Record<string, Locked>} locked @returns {string[]} */
export function npmProblems(manifest, locked) {
  const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version));
  const packages = Object.entries(locked).filter(([path, { link }]) => path !== '' && link !== true);
  return [
    ...loose.map(([name, version]) => `package.json: ${name} is not pinned: ${version}`),
    ...packages.filter(([, { integrity = '' }]) => !/^sha512-/.test(integrity)).map(([path]) => `package-lock.json: ${path} has no sha512`),
    ...packages.flatMap(([path, { license }]) => (isAllowed(license ?? UNSAID.get(path) ?? '') ? [] : [`package-lock.json: ${path} has the licence '${license ?? ''}', which is not on the list of deploy/check/pins.mjs`])),
  ];
}

/** SPDX, flat: one of an OR, all of an AND. @param {string} expression */
function isAllowed(expression) {
  const parts = expression.replace(/[()]/g, '').split(/ (AND|OR) /);
  const names = parts.filter((_, at) => at % 2 === 0);
  return parts.includes('OR') ? names.some((name) => LICENCES.has(name)) : names.every((name) => LICENCES.has(name));
}

/** @param {string} file @param {string} text @returns {string[]} */
export function pythonProblems(file, text) {
  const entries = text.replaceAll('\\\n', ' ').split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  return entries.filter((line) => !/^[A-Za-z0-9._-]+(\[[^\]]+\])?==[^\s;]+/.test(line) || !/--hash=sha256:[0-9a-f]{64}/.test(line)).map((line) => `${file}: '${line.slice(0, 60)}' is not pinned with a sha256`);
}

/** @param {string} mod go.mod @param {string} sum go.sum @returns {string[]} */
export function goProblems(mod, sum) {
  const sums = new Set(sum.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ')));
  const has = (/** @type {string} */ module) => sums.has(module) || sums.has(`${module}/go.mod`);
  return goModules(mod).map(({ path, version }) => `${path} ${version}`).filter((module) => !has(module)).map((module) => `deploy/kube/go.sum: no hash of ${module}`);
}

/** What go.mod requires, as it is replaced. @param {string} mod @returns {{ path: string, version: string }[]} */
export function goModules(mod) {
  const replaced = new Map([...mod.matchAll(/^(?:replace )?\t?(\S+)(?: v\S+)? => (\S+) (v\S+)/gm)].map(([, from = '', path = '', version = '']) => [from, { path, version }]));
  return [...mod.matchAll(/^(?:require )?\t?([\w.~/-]+\.[\w.~/-]+) (v\S+)(?! =>)(?: \/\/.*)?$/gm)].map(([, path = '', version = '']) => replaced.get(path) ?? { path, version });
}

function main() {
  const root = join(import.meta.dirname, '..', '..');
  const read = (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8');
  const requirements = readdirSync(join(root, 'kernels')).filter((name) => /^requirements.*\.txt$/.test(name));
  const problems = [
    ...npmProblems(JSON.parse(read('package.json')), JSON.parse(read('package-lock.json')).packages),
    ...requirements.flatMap((name) => pythonProblems(`kernels/${name}`, read(join('kernels', name)))),
    ...goProblems(read('deploy/kube/go.mod'), read('deploy/kube/go.sum')),
  ];
  for (const problem of problems) console.log(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
