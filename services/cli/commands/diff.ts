import { Command } from 'commander';
import { episodeFold } from '../../../core/episode/episode.js';
import { episodeStream } from '../../../core/log/keys.js';
import { diffMeanings, episodeMeaning, runMeanings, stageMeanings, type Divergence, type Meaning, type RunDiff } from '../../../core/projection/diff.js';
import { sha256Hex } from '../../runtime/canonical-json.js';
import { chunksOf } from '../../runtime/chunks.js';
import { readFold } from '../../runtime/record-fact.js';
import type { CliDeps } from '../deps.js';
import { Exit } from '../failure.js';
import type { Stores } from '../platform.js';
import { readRun } from '../run-reader.js';
import { withStores } from '../with-stores.js';

const SHOWN_CHARACTERS = 160;

export function diffCommand(deps: CliDeps): Command {
  return new Command('diff')
    .description('compare the ledgers of two runs by meaning: settings, episodes, batches, steps; exit code 1 where they differ')
    .argument('<run>', 'a run id')
    .argument('<other>', 'another')
    .action((first: string, second: string) => withStores(deps, async (stores) => {
      const [a, b] = [await meaningsOf(stores, first), await meaningsOf(stores, second)];
      const diff = diffMeanings(a.stages, a.meanings, b.meanings);
      for (const line of diffLines(diff)) deps.terminal.print(line);
      if (diff.firstDivergence) throw new Exit(1);
    }));
}

/** Values of episodes as hashes: tokens of a whole run do not fit into memory. */
async function meaningsOf(stores: Stores, run: string): Promise<{ readonly stages: readonly string[]; readonly meanings: readonly Meaning[] }> {
  const { view, manifest } = await readRun(stores, run, 'stages');
  const asked = [...view.requests].flatMap(([episode, [request]]) => (request ? [{ episode, stage: request.stage, step: request.request.step }] : []));
  const episodes: Meaning[] = [];
  const log = await stores.logs.open(run, 'read');
  try {
    for (const chunk of chunksOf(asked)) {
      episodes.push(...await Promise.all(chunk.map(async (of) => {
        const meaning = episodeMeaning(of, (await readFold(log, episodeStream(run, of.episode), episodeFold)).state);
        return { ...meaning, value: sha256Hex(meaning.value) };
      })));
    }
  } finally {
    await log.close();
  }
  return {
    stages: manifest?.recipe.stages.map(({ id }) => id) ?? [...view.run.stages.keys()],
    meanings: [...runMeanings(view.run), ...[...view.stages].flatMap(([stage, facts]) => stageMeanings(stage, facts)), ...episodes],
  };
}

function diffLines({ counts, firstDivergence }: RunDiff): string[] {
  const table = [...counts].map(([kind, { same, different, onlyInFirst, onlyInSecond }]) =>
    `${kind.padEnd(11)} ${String(same).padStart(6)} same ${String(different).padStart(6)} different ${String(onlyInFirst).padStart(6)} only in the first ${String(onlyInSecond).padStart(6)} only in the second`);
  return [...table, ...(firstDivergence ? divergenceLines(firstDivergence) : ['SAME: the two runs mean the same'])];
}

function divergenceLines({ how, first, second }: Divergence): string[] {
  const at = (first ?? second)!;
  const where = at.stage === '' ? 'the run' : `${at.stage}${Number.isFinite(at.step) ? ` step ${at.step}` : ''}`;
  return [
    `DIFFERENT from ${where} on: ${at.kind}${at.key === '' ? '' : ` ${at.key}`} is ${how}`,
    ...(first && second ? [`  first   ${shown(first)}`, `  second  ${shown(second)}`] : []),
  ];
}

function shown({ value }: Meaning): string {
  return value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value;
}
