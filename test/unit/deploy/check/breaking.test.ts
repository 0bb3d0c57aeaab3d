/** The check of stored messages can fail: a field that old events have must not go, change its number or its name. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../../..');
let copy: string;
beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'stemma-proto-'));
  cpSync(join(ROOT, 'proto'), copy, { recursive: true, filter: (source) => !source.endsWith('gen') });
});
afterEach(() => rmSync(copy, { recursive: true, force: true }));

async function breaking(from: string, to: string): Promise<string> {
  const file = join(copy, 'stemma/v1/events.proto');
  const text = readFileSync(file, 'utf8');
  expect(text).toContain(from);
  writeFileSync(file, text.replace(from, to));
  return promisify(execFile)(join(ROOT, 'node_modules/.bin/buf'), ['breaking', '--against', 'baseline.binpb', '--path', 'stemma/v1/events.proto', '--path', 'stemma/v1/data.proto'], { cwd: copy })
    .then(({ stdout }) => stdout, ({ stdout }: { stdout: string }) => stdout);
}

describe('buf breaking against the committed baseline', () => {
  it('lets a field be added', async () => {
    expect(await breaking('  string finish = 6;', '  string finish = 6;\n  uint32 more = 99;')).toBe('');
  });

  it.each([
    ['removed', '  string finish = 6;\n', ''],
    ['renumbered', '  string finish = 6;', '  string finish = 99;'],
    ['of another type', '  string finish = 6;', '  uint32 finish = 6;'],
    ['a payload renamed, whose name is in ids', '    TurnSampled turn_sampled = 71;', '    TurnSampled turn_drawn = 71;'],
  ])('refuses a field that is %s', async (_how, from, to) => {
    expect(await breaking(from, to)).toContain('events.proto');
  });
});
