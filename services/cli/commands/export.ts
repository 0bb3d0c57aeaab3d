import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { BlobRef } from '../../../proto/gen/stemma/v1/events.js';
import { writeJsonl } from '../../export/jsonl.js';
import { writeParquet } from '../../export/parquet.js';
import { trajectoryRows } from '../../export/trajectories.js';
import { createRunContexts } from '../../runtime/run-context.js';
import type { CliDeps } from '../deps.js';
import { hashText } from '../figures.js';
import type { Stores } from '../platform.js';
import { readRun } from '../run-reader.js';
import type { RunSnapshot } from '../run-reader.js';
import { withStores } from '../with-stores.js';

const FORMATS = ['weights', 'parquet', 'jsonl'] as const;

interface Options {
  readonly stage?: string;
  readonly format: (typeof FORMATS)[number];
}

export function exportCommand(deps: CliDeps): Command {
  return new Command('export')
    .description('write a run\'s weights as a Hugging Face directory, or its trajectories as a Parquet or JSON-lines file')
    .argument('<run>', 'a run id')
    .argument('[path]', 'a directory, created if need be; of trajectories a file (default: named after the run, here)')
    .option('--stage <id>', 'of weights: the stage whose result is written (default: the last finished one)')
    .addOption(new Option('--format <format>', 'what to write').choices(FORMATS).default('weights'))
    .action((run: string, path: string | undefined, { stage, format }: Options) => withStores(deps, (stores) => (format === 'weights'
      ? exportRun(deps, stores, { run, directory: resolve(path ?? run), stage })
      : exportTrajectories(deps, stores, { run, file: resolve(path ?? `${run}.${format}`), format }))));
}

interface TrajectoryRequest {
  readonly run: string;
  readonly file: string;
  readonly format: 'parquet' | 'jsonl';
}

/** Written under another name first: an interrupted export leaves no file that looks whole. */
async function exportTrajectories(deps: CliDeps, stores: Stores, { run, file, format }: TrajectoryRequest): Promise<void> {
  await readRun(stores, run, 'stages');
  const context = await createRunContexts(stores.logs, stores.blobs, 'read').get(run);
  const partial = `${file}.partial`;
  try {
    await mkdir(dirname(file), { recursive: true });
    const rows = await (format === 'parquet' ? writeParquet : writeJsonl)(partial, trajectoryRows(context));
    await rename(partial, file);
    deps.terminal.print(file);
    deps.terminal.say(`${rows} trajectories of ${run} are in ${file}`);
  } finally {
    await rm(partial, { force: true });
    await context.log.close();
  }
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
  const { trainer, close } = await (await deps.doors()).openCompute(deps.config(), directory);
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
