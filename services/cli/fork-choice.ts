/** Which run a fork command makes or goes on with. Forks of a run are named `<run>-f<n>`. */
import { isDeepStrictEqual } from 'node:util';
import type { RunState } from '../../core/run/run.js';
import type { ForkInput } from '../../workflows/activities.js';
import type { Stores } from './platform.js';
import { readRun } from './run-reader.js';

/** The newest fork of this parent if it is the same fork and has not ended, else the next free name. */
export async function chooseFork(stores: Stores, fork: ForkInput, fresh: boolean): Promise<{ readonly run: string }> {
  const prefix = `${fork.parent}-f`;
  const numbers = (await stores.logs.list()).map((run) => (run.startsWith(prefix) ? run.slice(prefix.length) : '')).filter((rest) => /^\d+$/.test(rest)).map(Number);
  const last = Math.max(0, ...numbers);
  if (last > 0 && !fresh) {
    const { view } = await readRun(stores, `${prefix}${last}`, 'stages');
    if (view.run.end === undefined && isSameFork(view.run, `${prefix}${last}`, fork)) return { run: `${prefix}${last}` };
  }
  return { run: `${prefix}${last + 1}` };
}

function isSameFork({ forked, created, amendments }: RunState, run: string, fork: ForkInput): boolean {
  if (forked?.parentRun !== fork.parent || forked.stage !== fork.stage || forked.step !== fork.step) return false;
  // Interrupted while it was made: its settings may be missing.
  if (created === undefined) return true;
  const settings = amendments.filter(({ updateId }) => updateId.startsWith(`fork/${run}/`)).map(({ path, valueJson }) => ({ path, value: JSON.parse(valueJson) as unknown }));
  return isDeepStrictEqual(settings, [...fork.settings]);
}
