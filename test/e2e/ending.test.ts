/** A command whose work is done ends, whatever else is left in its process, and its output is whole. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { newHome } from '../support/homes.js';
import { cli } from '../support/quickstart.js';

/** More than a pipe holds. */
const CHARACTERS = 1_000_000;

const folder = mkdtempSync(join(tmpdir(), 'stemma-ending-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each([{ args: ['status'], code: 0 }, { args: ['status', 'no-such-run'], code: 1 }])('$args', async ({ args, code }) => {
  const holding = join(folder, 'holding.mjs');
  writeFileSync(holding, `setInterval(() => {}, 1000); process.stdout.write('x'.repeat(${CHARACTERS}));`);
  const ended = await cli(newHome(), args, { NODE_OPTIONS: `--import ${pathToFileURL(holding).href}` });
  expect(ended.code).toBe(code);
  expect(ended.stdout.match(/^x*/)?.[0]).toHaveLength(CHARACTERS);
});
