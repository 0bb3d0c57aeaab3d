import { resolve } from 'node:path';
import { Command } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { BlobRef } from '../../../proto/gen/stemma/v1/events.js';
import type { CliDeps } from '../deps.js';
import { hashText } from '../figures.js';
import type { Stores } from '../platform.js';
import { readRun } from '../run-reader.js';
import type { RunSnapshot } from '../run-reader.js';
import { withStores } from '../with-stores.js';

export function exportCommand(deps: CliDeps): Command {
  return new Command('export')
    .description('write a run\'s weights as a Hugging Face directory')
    .argument('<run>', 'a run id')
    .argument('<directory>', 'created if need be')
    .option('--stage <id>', 'the stage whose result is written (default: the last finished one)')
    .action((run: string, directory: string, options: { readonly stage?: string }) =>
      withStores(deps, (stores) => exportRun(deps, stores, { run, directory: resolve(directory), stage: options.stage })));
}

interface Request {
  readonly run: string;
  readonly directory: string;
  readonly stage: string | undefined;
}

async function exportRun(deps: CliDeps, stores: Stores, { run, directory, stage }: Request): Promise<void> {
  const snapshot = await readRun(stores, run, 'stages');
  const { manifest } = snapshot;
  const result = resultOf(snapshot, stage);
  if (manifest === null) throw new StemmaError('log', 'NOT_FOUND', `run ${run} has no manifest yet`, 'Let it run first.');
  const { trainer, close } = await (await deps.doors()).openCompute(deps.config());
  try {
    const files = await trainer.export(result.weights, BlobRef.fromJSON(manifest.tokenizer), manifest.chatTemplate, directory);
    for (const file of files) deps.terminal.print(file);
    deps.terminal.say(`${hashText(result.weightsHash)}, the result of ${result.stage}, is in ${directory}`);
  } finally {
    await close();
  }
}

function resultOf(snapshot: RunSnapshot, wanted: string | undefined): { stage: string; weightsHash: string; weights: BlobRef } {
  const finished = [...snapshot.view.run.stages].flatMap(([stage, { result }]) =>
    (result?.weights === undefined ? [] : [{ stage, weightsHash: result.weightsHash, weights: result.weights }]));
  const found = wanted === undefined ? finished.at(-1) : finished.find(({ stage }) => stage === wanted);
  if (found !== undefined) return found;
  const known = finished.length === 0 ? 'No stage has finished yet.' : `Finished stages: ${finished.map(({ stage }) => stage).join(', ')}.`;
  throw new StemmaError('gateway', 'NOT_FOUND', `run ${snapshot.run} has no result${wanted === undefined ? '' : ` of stage '${wanted}'`}`, known);
}
