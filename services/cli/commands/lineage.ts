import { Command } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { lineageOfEpisode } from '../../../core/projection/episode-lineage.js';
import { findWeights, lineageOfWeights } from '../../../core/projection/lineage.js';
import type { RunView } from '../../../core/projection/run-view.js';
import type { CliDeps } from '../deps.js';
import { episodeLines, weightsLines } from '../lineage-text.js';
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
    .description('say which batches, episodes, prompts and teachers made some weights, or what an episode went into')
    .argument('<weights|episode>', 'a weights hash (its start is enough) or an episode id')
    .option('--run <run>', 'look in this run only (default: all, newest first)')
    .option('--full', 'every step and every member, not only the last', false)
    .option('--json', 'everything as one JSON line', false)
    .action((name: string, options: Options) => withStores(deps, (stores) => lineage(deps, stores, name, options)));
}

async function lineage(deps: CliDeps, stores: Stores, name: string, options: Options): Promise<void> {
  const runs = options.run === undefined ? await stores.logs.list() : [options.run];
  for (const run of runs) {
    // The quick look first: reading every episode of every run takes seconds.
    const shallow = (await readRun(stores, run, 'stages')).view;
    const isEpisode = shallow.requests.has(name);
    const hashes = isEpisode || !/^(sha256:)?[0-9a-f]{4,}$/.test(name) ? [] : findWeights(shallow, name);
    if (!isEpisode && hashes.length === 0) continue;
    if (hashes.length > 1) throw ambiguous(name, hashes);
    const { view } = await readRun(stores, run, 'episodes');
    print(deps, titleOf(run, view), traced(view, isEpisode ? null : (hashes[0] ?? ''), name), options);
    return;
  }
  throw new StemmaError('gateway', 'NOT_FOUND', `no run knows weights or an episode named '${name}'`,
    'Weights are in the output of `stemma status RUN` and of quickstart, episodes in `stemma lineage WEIGHTS --full`.');
}

type Traced =
  | { readonly kind: 'weights'; readonly lineage: NonNullable<ReturnType<typeof lineageOfWeights>> }
  | { readonly kind: 'episode'; readonly lineage: NonNullable<ReturnType<typeof lineageOfEpisode>> };

function traced(view: RunView, weightsHash: string | null, name: string): Traced {
  if (weightsHash === null) {
    const found = lineageOfEpisode(view, name);
    if (found !== undefined) return { kind: 'episode', lineage: found };
  } else {
    const found = lineageOfWeights(view, weightsHash);
    if (found !== undefined) return { kind: 'weights', lineage: found };
  }
  throw new StemmaError('log', 'NOT_FOUND', `'${name}' has no lineage`, 'Check the name.');
}

function titleOf(run: string, { run: { forked } }: RunView): string {
  return forked === undefined ? run : `${run}, forked from run ${forked.parentRun} at ${forked.stage} step ${forked.step}`;
}

function print(deps: CliDeps, run: string, found: Traced, options: Options): void {
  if (options.json) {
    deps.terminal.print(JSON.stringify({ run, [found.kind]: found.lineage }));
    return;
  }
  const lines = found.kind === 'weights' ? weightsLines(found.lineage, options.full) : episodeLines(found.lineage);
  for (const line of [`run ${run}`, ...lines]) deps.terminal.print(line);
}

function ambiguous(name: string, hashes: readonly string[]): StemmaError {
  return new StemmaError('gateway', 'INVALID', `'${name}' is the start of ${hashes.length} weights: ${hashes.slice(0, 5).join(', ')}${hashes.length > 5 ? ', …' : ''}`, 'Give more digits.');
}
