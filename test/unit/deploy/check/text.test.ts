import { expect, it } from 'vitest';
import { textProblems } from '../../../../deploy/check/text.mjs';

// In pieces: this file is read by the same rules.
const registry = ['registry', 'npmjs', 'org'].join('.');
const home = ['', 'home', 'ann', 'stemma'].join('/');

it('finds registries, machine paths, download addresses and empty names', () => {
  expect(textProblems('docs/a.md', `one\nsee https://${registry}/x`)).toEqual([
    `docs/a.md:2: names the package registry ${registry}: leave the choice of registry to each machine's settings`,
  ]);
  expect(textProblems('docs/a.md', `cd ${home}`)).toEqual(['docs/a.md:1: names a directory of one machine: make it relative or take it as a setting']);
  expect(textProblems('package-lock.json', '"resolved": "https://mirror.example/a.tgz"')).toHaveLength(1);
  expect(textProblems('services/utils.ts', '')).toEqual(['services/utils.ts: "utils" says nothing: name the file or folder after what is in it']);
  expect(textProblems('core/common/a.ts', '')).toHaveLength(1);
});

it('leaves everything else alone', () => {
  expect(textProblems('docs/a.md', 'https://example.com/home/page ../root/x ~/home /home is where')).toEqual([]);
  expect(textProblems('docs/common-mistakes.md', '')).toEqual([]);
});
