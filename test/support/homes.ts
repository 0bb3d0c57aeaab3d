/** Homes of a test file's own, gone when it ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const homes: string[] = [];
afterAll(() => homes.forEach((home) => rmSync(home, { recursive: true, force: true })));

export function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'stemma-home-'));
  homes.push(home);
  return home;
}
