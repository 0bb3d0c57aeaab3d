/**
 * What set-up found, built or fetched, by its name in toolchain.json, and suites that need it: without it they are skipped by name, and
 * fail under CI=true.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../services/runtime/package-root.js';

/** A path; '' where set-up has not made it. */
export function setUpPart(name: string): string {
  const file = join(packageRoot(), '.stemma', 'toolchain.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { readonly [part: string]: string | undefined })[name] ?? '' : '';
}

/** `lacking`: what is not here and how to get it; '' where it is here. */
export function describeUnlessLacking(lacking: string, name: string, suite: () => void): void {
  if (lacking === '') return void describe(name, suite);
  if (process.env['CI'] === 'true') return void test(name, () => expect.fail(lacking));
  describe.skip(`${name} (${lacking})`, suite);
}
