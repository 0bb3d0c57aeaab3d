/** A pin that lacks a hash, a version that floats, a licence nobody has looked at: each is named. */
import { expect, it } from 'vitest';
import { goProblems, npmProblems, pythonProblems } from '../../../../deploy/check/pins.mjs';

const SHA = `sha512-${'a'.repeat(86)}==`;

it('npm: exact versions, hashes and known licences', () => {
  expect(npmProblems({ dependencies: { a: '1.2.3' } }, { '': {}, 'node_modules/a': { integrity: SHA, license: '(GPL-3.0 OR MIT)' } })).toEqual([]);
  expect(npmProblems({ dependencies: { a: '^1.2.3' }, devDependencies: { b: 'latest' } }, {})).toHaveLength(2);
  expect(npmProblems({}, { 'node_modules/a': { license: 'MIT' } })).toEqual(['package-lock.json: node_modules/a has no sha512']);
  expect(npmProblems({}, { 'node_modules/a': { integrity: SHA, license: 'GPL-3.0 AND MIT' }, 'node_modules/b': { integrity: SHA } })).toHaveLength(2);
});

it('Python: each requirement with its sha256', () => {
  expect(pythonProblems('r.txt', `# by hand\na==1.0 \\\n    --hash=sha256:${'0'.repeat(64)}\n`)).toEqual([]);
  expect(pythonProblems('r.txt', 'a==1.0\nb>=2\nc @ https://example.org/c.whl\n')).toHaveLength(3);
});

it('Go: each module of go.mod has its line in go.sum', () => {
  expect(goProblems('require (\n\tx.org/a v1.0.0 // indirect\n)\n', 'x.org/a v1.0.0 h1:abc=\n')).toEqual([]);
  expect(goProblems('require (\n\tx.org/a v0.0.0\n)\nreplace (\n\tx.org/a => x.org/a v1.0.2\n)\n', 'x.org/a v1.0.2 h1:abc=\n')).toEqual([]);
  expect(goProblems('require (\n\tx.org/a v1.0.0\n)\n', 'x.org/a v1.0.1 h1:abc=\n')).toEqual(['deploy/kube/go.sum: no hash of x.org/a v1.0.0']);
});
