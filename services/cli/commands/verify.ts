import { Command } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { checkLedger } from '../../../core/projection/ledger.js';
import type { RunView } from '../../../core/projection/run-view.js';
import { BlobRef } from '../../../proto/gen/stemma/v1/events.js';
import type { Manifest } from '../../runtime/run-context.js';
import type { CliDeps } from '../deps.js';
import { Exit } from '../failure.js';
import type { Stores } from '../platform.js';
import { readRun } from '../run-reader.js';
import { withStores } from '../with-stores.js';

export function verifyCommand(deps: CliDeps): Command {
  return new Command('verify')
    .description('audit a run: every episode accounted for, every blob there and unaltered')
    .argument('<run>', 'a run id')
    .action((run: string) => withStores(deps, (stores) => verify(deps, stores, run)));
}

async function verify(deps: CliDeps, stores: Stores, run: string): Promise<void> {
  const { view, manifest } = await readRun(stores, run, 'episodes');
  const refs = blobsOf(view, manifest);
  const problems = [...checkLedger(view), ...(await blobProblems(stores, refs))];
  for (const problem of problems) deps.terminal.print(problem);
  deps.terminal.print(`${problems.length === 0 ? 'CLEAN' : `${problems.length} violations`}: ${view.requests.size} episodes, ${refs.size} blobs checked`);
  if (problems.length > 0) throw new Exit(1);
}

interface NamedBlob {
  readonly ref: BlobRef | undefined;
  readonly name: string;
}

/** What first names each blob, by its hash. */
function blobsOf(view: RunView, manifest: Manifest | null): Map<string, { readonly ref: BlobRef; readonly name: string }> {
  const refs = new Map<string, { ref: BlobRef; name: string }>();
  for (const { ref, name } of [...runBlobs(view), ...manifestBlobs(manifest), ...stageBlobs(view), ...scoreBlobs(view)]) {
    if (ref !== undefined && ref.sha256 !== '' && !refs.has(ref.sha256)) refs.set(ref.sha256, { ref, name });
  }
  return refs;
}

function runBlobs({ run }: RunView): NamedBlob[] {
  return [
    { ref: run.created?.manifest, name: 'the manifest' },
    ...[...run.stages].flatMap(([stage, { started, result }]) => [
      { ref: started.parent?.weights, name: `the parent weights of ${stage}` }, { ref: result?.weights, name: `the result of ${stage}` },
    ]),
  ];
}

function stageBlobs({ stages }: RunView): NamedBlob[] {
  return [...stages].flatMap(([stage, facts]) => [
    ...facts.datasets.map(({ dataset, blob }) => ({ ref: blob, name: `dataset ${dataset} of ${stage}` })),
    ...facts.closed.map(({ step, batch }) => ({ ref: batch, name: `the batch of step ${step} of ${stage}` })),
    ...facts.snapshots.map(({ step, snapshot }) => ({ ref: snapshot, name: `the snapshot of step ${step} of ${stage}` })),
    ...facts.published.map(({ step, weights }) => ({ ref: weights, name: `the weights published at step ${step} of ${stage}` })),
  ]);
}

function scoreBlobs({ episodes }: RunView): NamedBlob[] {
  return [...episodes].flatMap(([episode, { scores }]) => scores.map((scored) => ({ ref: scored.scores, name: `the scores of episode ${episode}` })));
}

function manifestBlobs(manifest: Manifest | null): NamedBlob[] {
  if (manifest === null) return [];
  return (['corpus', 'tokenizer', 'baseWeights'] as const).map((name) => ({ ref: BlobRef.fromJSON(manifest[name]), name: `the manifest's ${name}` }));
}

/** One after another: blobs are large and are hashed whole. */
async function blobProblems(stores: Stores, refs: ReturnType<typeof blobsOf>): Promise<string[]> {
  const problems: string[] = [];
  for (const { ref, name } of refs.values()) {
    try {
      await stores.blobs.get(ref);
    } catch (error) {
      if (!(error instanceof StemmaError)) throw error;
      problems.push(`${name}: ${error.message}`);
    }
  }
  return problems;
}
