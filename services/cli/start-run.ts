/** A run wherever there is a platform for it: the one that `up` has opened, or else one in this process. */
import { StemmaError } from '../../core/errors.js';
import { recipeNotes } from '../../core/recipe/validate.js';
import type { CliDeps } from './deps.js';
import { Exit } from './failure.js';
import type { Controls } from './platform.js';
import { chooseRun } from './resume.js';
import { runHere, type RunHere } from './run-here.js';
import { withStores } from './with-stores.js';

export async function startRun(deps: CliDeps, request: RunHere): Promise<void> {
  const controls = await runningPlatform(deps);
  if (controls !== null) return submit(deps, controls, request);
  const code = await runHere(deps, request);
  if (code !== 0) throw new Exit(code);
}

/** The platform that another process has opened; null where none runs. */
async function runningPlatform(deps: CliDeps): Promise<Controls | null> {
  try {
    return await (await deps.doors()).connect(deps.config());
  } catch (error) {
    if (error instanceof StemmaError && error.code === 'UNAVAILABLE') return null;
    throw error;
  }
}

async function submit(deps: CliDeps, controls: Controls, { recipe, recipeName, seed, fresh, fork }: RunHere): Promise<void> {
  try {
    const run = fork?.run ?? (await withStores(deps, (stores) => chooseRun(stores, recipe, seed, fresh))).run;
    await controls.submit({ run, recipe: recipeName, seed, ...(fork && { fork: fork.input }) });
    // A fork's recipe is its parent's, whose notes have been read.
    for (const note of fork === undefined ? recipeNotes(recipe) : []) deps.terminal.say(note);
    deps.terminal.print(run);
    deps.terminal.say(`Submitted. Follow it with: stemma watch ${run}`);
  } finally {
    await controls.close();
  }
}
