import { Command } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { lineageOfEpisode } from '../../../core/projection/episode-lineage.js';
import { findWeights, lineageOfWeights } from '../../../core/projection/lineage.js';
import { lineageOfPrompt } from '../../../core/projection/prompt-lineage.js';
import type { RunView } from '../../../core/projection/run-view.js';
import type { CliDeps } from '../deps.js';
import { episodeLines, promptLines, weightsLines } from '../lineage-text.js';
import type { Stores } from '../platform.js';
import { readRun } from '../run-reader.js';
import { withStores } from '../with-stores.js';

interface Options {
  readonly run?: string;
  readonly full: boolean;
  readonly json: boolean;
}

export function lineageCommand(deps: CliDeps): Command {
  return new Command('lineage')
    .description('say which batches, episodes, prompts and teachers made some weights, or which weights an episode or a prompt went into')
    .argument('<weights|episode|prompt>', 'a weights hash (its start is enough), an episode id or a task id')
    .option('--run <run>', 'look in this run only (default: all, newest first)')
    .option('--full', 'every step and member, not only the last; of a prompt, every episode in full', false)
    .option('--json', 'everything as one JSON line', false)
    .action((name: string, options: Options) => withStores(deps, (stores) => lineage(deps, stores, name, options)));
}

async function lineage(deps: CliDeps, stores: Stores, name: string, options: Options): Promise<void> {
  const runs = options.run === undefined ? await stores.logs.list() : [options.run];
  for (const run of runs) {
    // The quick look first: reading every episode of every run takes seconds.
    const kind = kindOf((await readRun(stores, run, 'stages')).view, name);
    if (kind === undefined) continue;
    const { view } = await readRun(stores, run, 'episodes');
    print(deps, titleOf(run, view), traced(view, kind, name), options);
    return;
  }
  throw new StemmaError('gateway', 'NOT_FOUND', `no run knows weights, an episode or a prompt named '${name}'`,
    'Weights are in the output of `stemma status RUN` and of quickstart, episodes and prompts in `stemma lineage WEIGHTS --full`.');
}

type Kind = Traced['kind'];

type Traced =
  | { readonly kind: 'weights'; readonly lineage: NonNullable<ReturnType<typeof lineageOfWeights>> }
  | { readonly kind: 'episode'; readonly lineage: NonNullable<ReturnType<typeof lineageOfEpisode>> }
  | { readonly kind: 'prompt'; readonly lineage: NonNullable<ReturnType<typeof lineageOfPrompt>> };

/** undefined where the run knows nothing of that name. */
function kindOf(view: RunView, name: string): Kind | undefined {
  if (view.requests.has(name)) return 'episode';
  for (const [request] of view.requests.values()) if (request?.episode.task === name) return 'prompt';
  const hashes = weightsNamed(view, name);
  if (hashes.length > 1) throw ambiguous(name, hashes);
  return hashes.length === 1 ? 'weights' : undefined;
}

function weightsNamed(view: RunView, name: string): string[] {
  return /^(sha256:)?[0-9a-f]{4,}$/.test(name) ? findWeights(view, name) : [];
}

function traced(view: RunView, kind: Kind, name: string): Traced {
  switch (kind) {
    case 'weights': return { kind, lineage: known(lineageOfWeights(view, weightsNamed(view, name)[0] ?? ''), name) };
    case 'episode': return { kind, lineage: known(lineageOfEpisode(view, name), name) };
    case 'prompt': return { kind, lineage: known(lineageOfPrompt(view, name), name) };
  }
}

function known<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new StemmaError('log', 'NOT_FOUND', `'${name}' has no lineage`, 'Check the name.');
  return found;
}

function titleOf(run: string, { run: { forked } }: RunView): string {
  return forked === undefined ? run : `${run}, forked from run ${forked.parentRun} at ${forked.stage} step ${forked.step}`;
}

function print(deps: CliDeps, run: string, found: Traced, options: Options): void {
  if (options.json) {
    deps.terminal.print(JSON.stringify({ run, [found.kind]: found.lineage }));
    return;
  }
  for (const line of [`run ${run}`, ...linesOf(found, options.full)]) deps.terminal.print(line);
}

function linesOf({ kind, lineage: found }: Traced, full: boolean): string[] {
  switch (kind) {
    case 'weights': return weightsLines(found, full);
    case 'episode': return episodeLines(found);
    case 'prompt': return promptLines(found, full);
  }
}

function ambiguous(name: string, hashes: readonly string[]): StemmaError {
  return new StemmaError('gateway', 'INVALID', `'${name}' is the start of ${hashes.length} weights: ${hashes.slice(0, 5).join(', ')}${hashes.length > 5 ? ', …' : ''}`, 'Give more digits.');
}
