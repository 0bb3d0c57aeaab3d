/** The audit's part that reads blobs: each is there, hashes to its name, and a batch holds what its event says. */
import { StemmaError } from '../../core/errors.js';
import { stageFinding, runFinding, type Finding, episodeFinding } from '../../core/projection/finding.js';
import type { RunView } from '../../core/projection/run-view.js';
import type { Payload } from '../../core/log/keys.js';
import type { BlobStore } from '../../core/ports.js';
import { isSuperseded, LEAST_RETENTION, type StageStanding } from '../../core/stage/superseded.js';
import { Batch, ScoreTable, type Sample } from '../../proto/gen/stemma/v1/data.js';
import { BlobRef, type BatchClosed } from '../../proto/gen/stemma/v1/events.js';
import { sha256Hex } from '../runtime/canonical-json.js';
import type { Manifest } from '../runtime/run-context.js';

interface NamedBlob {
  readonly ref: BlobRef | undefined;
  readonly at: Omit<Finding, 'what'>;
  readonly name: string;
  /** It may be gone: isSuperseded. */
  readonly superseded?: boolean;
}

export interface BlobAudit {
  readonly checked: number;
  /** Superseded, and gone. */
  readonly retired: number;
  readonly findings: readonly Finding[];
}

/** One after another: blobs are large and are hashed whole. */
export async function auditBlobs(blobs: BlobStore, view: RunView, manifest: Manifest | null): Promise<BlobAudit> {
  const findings: Finding[] = [];
  const named = firstNames([...runBlobs(view), ...manifestBlobs(manifest), ...stageBlobs(view), ...scoreBlobs(view)]);
  let retired = 0;
  for (const { ref, at, name, superseded } of named) {
    const content = await contentOf(blobs, ref);
    if (superseded && content instanceof StemmaError && content.code === 'NOT_FOUND') retired += 1;
    else if (content instanceof StemmaError) findings.push({ ...at, what: `${name}: ${content.message}` });
  }
  const tableOf = tables(blobs);
  for (const [stage, { closed }] of view.stages) {
    for (const batch of closed) findings.push(...(await batchFindings({ blobs, view, tableOf }, stage, batch)));
  }
  return { checked: named.length - retired, retired, findings };
}

/** Only what a StemmaError says is a finding. */
function contentOf(blobs: BlobStore, ref: BlobRef): Promise<Uint8Array | StemmaError> {
  return blobs.get(ref).catch((error: unknown) => {
    if (error instanceof StemmaError) return error;
    throw error;
  });
}

function firstNames(blobs: readonly NamedBlob[]): (NamedBlob & { readonly ref: BlobRef })[] {
  const named = new Map<string, NamedBlob & { readonly ref: BlobRef }>();
  for (const { ref, ...rest } of blobs) if (ref !== undefined && ref.sha256 !== '' && !named.has(ref.sha256)) named.set(ref.sha256, { ref, ...rest });
  return [...named.values()];
}

function runBlobs({ run }: RunView): NamedBlob[] {
  return [
    { ref: run.created?.manifest, at: { stream: 'run', event: 'runCreated run' }, name: 'the manifest' },
    ...[...run.stages].flatMap(([stage, { started, result }]) => [
      { ref: started.parent?.weights, at: { stream: 'run', event: `stageStarted ${stage}` }, name: `the parent weights of ${stage}` },
      { ref: result?.weights, at: { stream: 'run', event: `stageFinished ${stage}` }, name: `the result of ${stage}` },
    ]),
  ];
}

function stageBlobs({ run, stages }: RunView): NamedBlob[] {
  return [...stages].flatMap(([stage, facts]) => {
    const standing: StageStanding = {
      finished: run.stages.get(stage)?.result !== undefined, committed: facts.committed.length, snapshots: new Set(facts.snapshots.map(({ step }) => step)),
      shared: run.forked?.stage === stage ? run.forked.step : 0,
    };
    const superseded = (fact: Payload): boolean => isSuperseded(fact, standing, LEAST_RETENTION);
    const at = (event: string): NamedBlob['at'] => ({ stream: `stage ${stage}`, event });
    return [
      ...facts.datasets.map(({ dataset, blob }) => ({ ref: blob, at: at(`datasetSealed ${dataset}`), name: `dataset ${dataset} of ${stage}` })),
      ...facts.closed.map(({ step, batch }) => ({ ref: batch, at: at(`batchClosed ${step}`), name: `the batch of step ${step} of ${stage}` })),
      ...facts.snapshots.map((value) => ({
        ref: value.snapshot, at: at(`snapshotTaken ${value.step}`), name: `the snapshot of step ${value.step} of ${stage}`, superseded: superseded({ $case: 'snapshotTaken', value }),
      })),
      ...facts.published.map((value) => ({
        ref: value.weights, at: at(`policyPublished ${value.step}`), name: `the weights published at step ${value.step} of ${stage}`, superseded: superseded({ $case: 'policyPublished', value }),
      })),
    ];
  });
}

function scoreBlobs({ episodes }: RunView): NamedBlob[] {
  return [...episodes].flatMap(([episode, { scores }]) => scores.map(({ purpose, scorerWeightsHash, scores: ref }) => (
    { ref, at: episodeFinding(episode, `episodeScored ${purpose}/${scorerWeightsHash}`, ''), name: `the scores of episode ${episode}` })));
}

function manifestBlobs(manifest: Manifest | null): NamedBlob[] {
  if (manifest === null) return [];
  return (['corpus', 'tokenizer', 'baseWeights'] as const).map((name) => ({ ref: BlobRef.fromJSON(manifest[name]), at: runFinding('runCreated run', ''), name: `the manifest's ${name}` }));
}

interface BatchAudit {
  readonly blobs: BlobStore;
  readonly view: RunView;
  readonly tableOf: (ref: BlobRef) => Promise<ScoreTable>;
}

/** A blob that cannot be read has been named already. */
async function batchFindings(audit: BatchAudit, stage: string, closed: BatchClosed): Promise<Finding[]> {
  const content = closed.batch && await contentOf(audit.blobs, closed.batch);
  if (!content || content instanceof StemmaError) return [];
  const { samples } = Batch.decode(content);
  const at = (what: string): Finding => stageFinding(stage, `batchClosed ${closed.step}`, `${what} in the batch of step ${closed.step} of ${stage}`);
  const names = samples.map(({ member }) => member).join(' ');
  if (names !== closed.members.map(({ member }) => member).join(' ')) return [at('the samples are not the members, in order,')];
  const problems: Finding[] = [];
  for (const [index, sample] of samples.entries()) {
    const problem = await scoreProblem(audit, closed, { sample, domain: closed.members[index]?.domain ?? '' });
    if (problem !== undefined) problems.push(at(problem));
  }
  return problems;
}

/** A sample learns from the row that the routed teacher made of its own tokens. */
async function scoreProblem({ view, tableOf }: BatchAudit, closed: BatchClosed, { sample, domain }: { readonly sample: Sample; readonly domain: string }): Promise<string | undefined> {
  for (const { kind } of sample.terms) {
    if (kind?.$case !== 'salientVocabulary') continue;
    const { scoreBlobSha256, scoreRow } = kind.value;
    const scored = view.episodes.get(sample.member)?.scores.find(({ scores, row }) => scores?.sha256 === scoreBlobSha256 && row === scoreRow);
    if (scored?.scores === undefined) return `${sample.member} learns from a score that its episode does not have`;
    const teacher = closed.teacherWeightsHashes[domain];
    if (scored.scorerWeightsHash !== teacher) return `${sample.member} of ${domain} learns from a score by ${scored.scorerWeightsHash}`;
    const table = await tableOf(scored.scores).catch(() => undefined);
    if (table === undefined) continue;
    if (table.scorerWeightsHash !== teacher) return `${sample.member} of ${domain} learns from a table that ${table.scorerWeightsHash} made`;
    if (table.rows[scoreRow]?.tokensSha256 !== sha256Hex(sample.tokens)) return `${sample.member} learns from a score of other tokens`;
  }
  return undefined;
}

/** The newest table: members of one batch that share a table follow each other. */
function tables(blobs: BlobStore): (ref: BlobRef) => Promise<ScoreTable> {
  let held: { readonly name: string; readonly table: ScoreTable } | undefined;
  return async (ref) => {
    if (held?.name !== ref.sha256) held = { name: ref.sha256, table: ScoreTable.decode(await blobs.get(ref)) };
    return held.table;
  };
}
