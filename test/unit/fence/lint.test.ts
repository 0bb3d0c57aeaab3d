import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import { expect, it, vi } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
// The first question builds the type-aware program.
vi.setConfig({ testTimeout: 60_000 });
const eslint = new ESLint({ cwd: root });

/** Rules broken by `text`, read as if it stood in an existing file (the type-aware rules need a project). */
async function broken(text: string, path: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath: join(root, path) });
  return result!.messages.map((message) => message.ruleId ?? message.message);
}

it.each([
  ['core/errors.ts', 'export const now = Date.now();', 'no-restricted-properties'],
  ['core/errors.ts', 'export const now = new Date();', 'no-restricted-syntax'],
  ['core/errors.ts', 'export const dice = Math.random();', 'no-restricted-properties'],
  ['workflows/activities.ts', 'export const now = Date.now();', 'no-restricted-properties'],
  ['environments/registry.ts', 'export const dice = Math.random();', 'no-restricted-properties'],
  ['core/errors.ts', "export * from './ports.js';", 'no-restricted-syntax'],
  ['services/runtime/seed.ts', 'export const home = process.env.HOME;', 'no-restricted-properties'],
  ['services/runtime/seed.ts', 'async function f(): Promise<void> {}\nf();', '@typescript-eslint/no-floating-promises'],
  ['core/errors.ts', 'export function f(a: number, b: number, c: number, d: number, e: number): number { return a + b + c + d + e; }', 'max-params'],
  ['core/errors.ts', '// eslint-disable-next-line max-params\nexport const a = 1;', 'stemma/reasons'],
  ['core/errors.ts', `export const a = [\n${'1,\n'.repeat(400)}];`, 'max-lines'],
  ['core/errors.ts', `export function f(): number[] {\n return [\n${'1,\n'.repeat(50)}];\n}`, 'max-lines-per-function'],
])('in %s refuses %s', async (path, text, rule) => {
  expect(await broken(text, path)).toContain(rule);
});

it.each([
  ['core/errors.ts', 'export const at = new Date(0);'],
  ['services/runtime/seed.ts', 'export const now = Date.now();'],
  ['services/runtime/config.ts', 'export const home = process.env.HOME;'],
])('in %s allows %s', async (path, text) => {
  expect(await broken(text, path)).toEqual([]);
});
