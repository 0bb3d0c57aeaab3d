/**
 * Which run the same command goes on with. Run ids are `<recipe>-s<seed>-<n>`, so that even a run whose first event was
 * never written (killed between submit and manifest) is found again under its own name instead of running beside a new one.
 */
import type { Recipe } from '../../core/recipe/recipe.js';
import { canonicalJson, sha256Hex } from '../runtime/canonical-json.js';
import type { Stores } from './platform.js';
import { readRun } from './run-reader.js';
import type { RunSnapshot } from './run-reader.js';

export interface RunChoice {
  readonly run: string;
  /** Where it stands, if it goes on. */
  readonly resumed: RunSnapshot | null;
  /** A sentence about an unfinished run that is left alone; '' if there is none. */
  readonly note: string;
}

export async function chooseRun(stores: Stores, recipe: Recipe, seed: number, fresh: boolean): Promise<RunChoice> {
  const prefix = `${recipe.name}-s${seed}-`;
  const last = Math.max(0, ...(await stores.logs.list()).flatMap((run) => ordinal(run, prefix)));
  const next = `${prefix}${last + 1}`;
  if (last === 0) return { run: next, resumed: null, note: '' };
  const latest = await readRun(stores, `${prefix}${last}`, 'stages');
  const { created, end } = latest.view.run;
  if (end !== undefined) return { run: next, resumed: null, note: '' };
  if (fresh) return { run: next, resumed: null, note: `Run ${latest.run} is left unfinished.` };
  if (created === undefined) return { run: latest.run, resumed: null, note: '' };
  if (created.settingsHash !== sha256Hex(canonicalJson(recipe))) {
    return { run: next, resumed: null, note: `The recipe has changed since run ${latest.run} was started, which is left unfinished.` };
  }
  return { run: latest.run, resumed: latest, note: '' };
}

function ordinal(run: string, prefix: string): number[] {
  const rest = run.startsWith(prefix) ? run.slice(prefix.length) : '';
  return /^\d+$/.test(rest) ? [Number(rest)] : [];
}

/** "search-rl, step 12 of 60; 1 of 9 stages done" */
export function whereItStands(snapshot: RunSnapshot): string {
  const { stages, now } = snapshot.progress;
  const done = stages.filter((stage) => stage.status === 'finished').length;
  const open = stages.filter((stage) => stage.status === 'running').map(({ stage, step, steps }) => `${stage}, step ${step}${steps === undefined ? '' : ` of ${steps}`}`);
  return [open.length === 0 ? now : open.join(' and '), `${done} of ${stages.length} stages done`].join('; ');
}
