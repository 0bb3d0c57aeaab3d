// What no compiler reads: addresses, machine paths and names that must not be in the repository.
import { basename, dirname } from 'node:path';

// In pieces, so that this file does not name what it looks for.
const REGISTRIES = [
  ['registry', 'npmjs', 'org'], ['registry', 'yarnpkg', 'com'], ['pypi', 'org'], ['files', 'pythonhosted', 'org'], ['proxy', 'golang', 'org'],
  ['sum', 'golang', 'org'], ['static', 'crates', 'io'], ['index', 'crates', 'io'], ['repo', 'maven', 'apache', 'org'], ['repo1', 'maven', 'org'], ['deb', 'debian', 'org'],
].map((parts) => parts.join('.'));
const HOMES = new RegExp(`(?<![\\w.~-])/(?:${['root', 'home/\\w+', 'Users/\\w+'].join('|')})/`);
const EMPTY_NAMES = /^(utils?|common|helpers?|shared|misc|legacy)$/;

/** @param {string} path relative to the root @param {string} text @returns {string[]} one line a problem */
export function textProblems(path, text) {
  const problems = [];
  for (const part of [...dirname(path).split('/'), basename(path).replace(/\..*$/, '')]) {
    if (EMPTY_NAMES.test(part)) problems.push(`${path}: "${part}" says nothing: name the file or folder after what is in it`);
  }
  if (basename(path) === 'package-lock.json' && /"resolved": "https?:/.test(text)) {
    problems.push(`${path}: holds download addresses ("resolved"): run npm install with this repository's .npmrc, which leaves them out`);
  }
  for (const [index, line] of text.split('\n').entries()) {
    const host = REGISTRIES.find((name) => line.includes(name));
    if (host !== undefined) problems.push(`${path}:${index + 1}: names the package registry ${host}: leave the choice of registry to each machine's settings`);
    if (HOMES.test(line)) problems.push(`${path}:${index + 1}: names a directory of one machine: make it relative or take it as a setting`);
  }
  return problems;
}
