import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { filesUnder, hashContents, hashTimes, readJson, unlessStamped, writeWhole } from '../../../../deploy/setup/stamp.mjs';

let directory = '';
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'stemma-stamp-')); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const always = () => true;

it('runs a step once for the same inputs, again for others', async () => {
  let runs = 0;
  const step = async () => { runs += 1; };
  const file = join(directory, 'a.stamp');
  expect(await unlessStamped({ file, hash: 'one', isThere: always }, step)).toBe(true);
  expect(await unlessStamped({ file, hash: 'one', isThere: always }, step)).toBe(false);
  expect(await unlessStamped({ file, hash: 'two', isThere: always }, step)).toBe(true);
  expect(await unlessStamped({ file, hash: 'one', isThere: always }, step)).toBe(true);
  expect(runs).toBe(3);
});

it('runs again when the output is gone', async () => {
  const file = join(directory, 'a.stamp');
  await unlessStamped({ file, hash: 'one', isThere: always }, async () => undefined);
  expect(await unlessStamped({ file, hash: 'one', isThere: () => false }, async () => undefined)).toBe(true);
});

it('never takes an interrupted step for a finished one, not even of inputs that finished before', async () => {
  const file = join(directory, 'a.stamp');
  await unlessStamped({ file, hash: 'one', isThere: always }, async () => undefined);
  await expect(unlessStamped({ file, hash: 'two', isThere: always }, async () => {
    expect(existsSync(file)).toBe(false);
    throw new Error('killed');
  })).rejects.toThrow('killed');
  expect(await unlessStamped({ file, hash: 'one', isThere: always }, async () => undefined)).toBe(true);
});

it('hashes contents, or times where that is enough', () => {
  const file = join(directory, 'a.ts');
  writeFileSync(file, '1');
  const [contents, times] = [hashContents([file]), hashTimes([file])];
  utimesSync(file, 1, 1);
  expect(hashContents([file])).toBe(contents);
  expect(hashTimes([file])).not.toBe(times);
  writeFileSync(file, '2');
  expect(hashContents([file])).not.toBe(contents);
});

it('finds files by their ending, and none where there is no folder', () => {
  writeWhole(join(directory, 'x/y/b.ts'), '');
  writeWhole(join(directory, 'x/a.ts'), '');
  writeWhole(join(directory, 'x/node_modules/c.ts'), '');
  expect(filesUnder(join(directory, 'x'), ['.ts'])).toEqual([join(directory, 'x/a.ts'), join(directory, 'x/y/b.ts')]);
  expect(filesUnder(join(directory, 'nowhere'), ['.ts'])).toEqual([]);
});

it('reads a broken JSON file as nothing', () => {
  writeWhole(join(directory, 'a.json'), '{"cut');
  expect(readJson(join(directory, 'a.json'))).toEqual({});
  expect(readJson(join(directory, 'none.json'))).toEqual({});
});
