import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { codeVersion } from '../../../../services/coordinator/code-version.js';
import { newHome } from '../../../support/homes.js';

function packageAt(folder: string): string {
  writeFileSync(join(folder, 'package.json'), '{"version":"1.2.3"}');
  return folder;
}

test('an image says which revision it was built from', async () => {
  const root = packageAt(newHome());
  writeFileSync(join(root, 'revision'), 'abc1234-dirty\n');
  expect(await codeVersion(root)).toEqual({ version: '1.2.3', revision: 'abc1234-dirty' });
});

test('a checkout says what git says, also where the image knew nothing', async () => {
  const root = packageAt(newHome());
  const git = (...args: string[]): string => execFileSync('git', ['-C', root, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--message', 'first');
  expect(await codeVersion(root)).toEqual({ version: '1.2.3', revision: git('rev-parse', '--short', 'HEAD') });
  writeFileSync(join(root, 'revision'), '\n');
  expect((await codeVersion(root)).revision).toMatch(/^[0-9a-f]{7,}$/);
});

test('elsewhere it is not known', async () => {
  expect(await codeVersion(packageAt(newHome()))).toEqual({ version: '1.2.3', revision: '' });
});
