/** The preloaded disk is C, built by the suite: without a compiler its tests are skipped by name, and fail under CI=true. */
import { spawnSync } from 'node:child_process';
import { describeUnlessLacking } from '../../support/set-up-part.js';

/** A suite whose processes run under the shim. */
export function describeWithCompiler(name: string, suite: () => void): void {
  describeUnlessLacking(spawnSync('gcc', ['--version']).status === 0 ? '' : 'no gcc: install a C compiler', name, suite);
}
