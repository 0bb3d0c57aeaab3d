/** The preloaded disk is C, built by the suite: without a compiler its tests are skipped by name, and fail under CI=true. */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

/** A suite whose processes run under the shim. */
export function describeWithCompiler(name: string, suite: () => void): void {
  if (spawnSync('gcc', ['--version']).status === 0) return void describe(name, suite);
  const reason = 'no gcc: install a C compiler';
  if (process.env['CI'] === 'true') return void test(name, () => expect.fail(reason));
  describe.skip(`${name} (${reason})`, suite);
}
