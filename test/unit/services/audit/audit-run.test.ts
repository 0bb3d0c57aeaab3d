/** A real run with one fact altered: the audit names exactly that. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Payload } from '../../../../core/log/keys.js';
import type { StoredEvent } from '../../../../core/ports.js';
import { runViewOf } from '../../../../core/projection/run-view.js';
import { Batch, ScoreTable } from '../../../../proto/gen/stemma/v1/data.js';
import type { BlobRef } from '../../../../proto/gen/stemma/v1/events.js';
import { auditRun } from '../../../../services/audit/audit-run.js';
import { batchIdOf } from '../../../../services/training/learn-step.js';
import { committedRun, memoryBlobs } from '../../../support/committed-run.js';

const WEIGHTS_NOT_COMMITTED = /^the (result|parent weights|snapshot|weights|manifest's baseWeights)[^:]*: blob \w+ is missing$/;
const committed = committedRun('v1');
let blobs = memoryBlobs(new Map());

interface Tampered {
  readonly events: StoredEvent[];
  readonly blobs: typeof blobs;
}

async function audit(tamper: (run: Tampered) => unknown): Promise<string[]> {
  blobs = memoryBlobs(new Map(committed.blobs.contents));
  const run = { events: committed.events(), blobs };
  const manifest = await committed.manifest(runViewOf(run.events));
  await tamper(run);
  const { findings } = await auditRun(blobs, runViewOf(run.events), manifest);
  return findings.filter(({ what }) => !WEIGHTS_NOT_COMMITTED.test(what)).map(({ stream, event, what }) => `${stream}, ${event}: ${what}`);
}

type ValueOf<C extends Payload['$case']> = Extract<Payload, { $case: C }>['value'];

/** The values of one payload type on a stream, to be altered in place. */
function all<C extends Payload['$case']>({ events }: Tampered, type: C, stream = ''): ValueOf<C>[] {
  return events.flatMap(({ event: { payload, stream: of } }) => (payload?.$case === type && of.endsWith(stream) ? [payload.value as ValueOf<C>] : []));
}
const first = <C extends Payload['$case']>(run: Tampered, type: C, stream = ''): ValueOf<C> => all(run, type, stream)[0]!;
const drop = (run: Tampered, which: (payload: Payload, stream: string) => boolean): void => {
  const at = run.events.findIndex(({ event }) => event.payload && which(event.payload, event.stream));
  expect(at).toBeGreaterThanOrEqual(0);
  run.events.splice(at, 1);
};

/** The distillation batch of step 1 with another content, named as it should be. */
async function rewrite(run: Tampered, change: (batch: Batch) => void): Promise<void> {
  const closed = first(run, 'batchClosed', '/distill');
  const batch = Batch.decode(await blobs.get(closed.batch as BlobRef));
  change(batch);
  closed.batch = await blobs.put(Batch.encode(batch).finish());
  const batchId = batchIdOf('distill', 1, closed.batch.sha256);
  for (const commit of all(run, 'stepCommitted', '/distill')) if (commit.batchId === closed.batchId) commit.batchId = batchId;
  closed.batchId = batchId;
}

const salient = (batch: Batch, index: number) => {
  const kind = batch.samples[index]?.terms[0]?.kind;
  if (kind?.$case !== 'salientVocabulary') throw new Error('no score');
  return kind.value;
};

describe('the audit of a real run', () => {
  let teachers: { [domain: string]: string };
  beforeAll(() => { teachers = first({ events: committed.events(), blobs }, 'batchClosed', '/distill').teacherWeightsHashes; });

  it('finds nothing in it as it is', async () => {
    expect(await audit(() => undefined)).toEqual([]);
  });

  it.each<[string, (run: Tampered) => unknown, RegExp[]]>([
    ['a batch that names another domain\'s teacher', (run) => { first(run, 'batchClosed', '/distill').teacherWeightsHashes['search'] = teachers['tools']!; },
      [/^stage distill, batchClosed 1: .*names \w+ as the teacher of search/, /batchClosed 1: distill\.1\.0\.\d\.0 of search learns from a score by/]],
    ['a score by another domain\'s teacher', (run) => { all(run, 'episodeScored').find(({ purpose, scorerWeightsHash }) => purpose === 'teacher' && scorerWeightsHash === teachers['search'])!.scorerWeightsHash = teachers['tools']!; },
      [/^episode distill\.\S+, episodeScored teacher\/\w+: .* to which distill does not route search/, /batchClosed 1: episode \S+ .* has no score by the teacher of search/, /learns from a score by/]],
    ['a reference score by a stranger', (run) => { all(run, 'episodeScored').find(({ purpose }) => purpose === 'reference')!.scorerWeightsHash = 'f00'; }, [/^episode search-rl\S+, episodeScored reference\/f00: /]],
    ['a member sampled by weights that the batch does not name', (run) => { first(run, 'turnSampled', '/distill.1.0.0.0').weightsHash = 'f00'; }, [/^stage distill, batchClosed 1: episode distill\.1\.0\.0\.0 .* was sampled by f00/]],
    ['a turn whose spans of weights do not cover it, in a stage that changes none inside', (run) => {
      const turn = first(run, 'turnSampled', '/distill.1.0.0.0');
      turn.changedWeights = { spans: [{ weightsHash: turn.weightsHash, tokens: 1 }], kvCache: 'recomputed' };
    }, [/^episode distill\.1\.0\.0\.0, turnSampled 1\/0: .*its spans of weights cover 1 of its \d+ tokens/, /turnSampled 1\/0: weights changed inside a turn .*its recipe does not allow$/]],
    ['policy weights that no step ended in', (run) => { first(run, 'batchClosed', '/search-rl').policyWeightsHashes.push('f00'); }, [/^stage search-rl, batchClosed 1: .*weights f00 sampled it, which no step ended in/]],
    ['a member under another domain', (run) => { first(run, 'batchClosed', '/search-rl').members[0]!.domain = 'tools'; }, [/^stage search-rl, batchClosed 1: episode \S+ of search is in the batch .* as one of tools/]],
    ['episodes asked of unknown weights', (run) => { all(run, 'episodesRequested', '/distill')[1]!.weightsHash = 'f00'; }, [/^stage distill, episodesRequested 2\/0\/train: .*weights f00/]],
    ['a stage that starts from the wrong model', (run) => { all(run, 'stageStarted').find(({ stage }) => stage === 'tools-rl')!.parent!.weightsHash = teachers['search']!; }, [/^run, stageStarted tools-rl: .*not the result of tools-sft/]],
    ['a result that its last step did not end in', (run) => { all(run, 'stageFinished').find(({ stage }) => stage === 'distill')!.result!.weightsHash = teachers['search']!; },
      [/^run, runFinished end: /, /^run, stageFinished distill: /, /^run, evaluationFinished distill: /]],
    ['an evaluation of other weights', (run) => { all(run, 'evaluationFinished').find(({ stage }) => stage === 'sft')!.weightsHash = 'f00'; }, [/^run, evaluationFinished sft: /]],
    ['an end with other weights', (run) => { first(run, 'runFinished').weightsHash = 'f00'; }, [/^run, runFinished end: /]],
    ['a fork from another state', (run) => { first(run, 'runForked').stateHash = 'f00'; }, [/^run, runForked fork: the fork of micro-s1-1 does not hold the state of step 1 of distill/]],
    ['a snapshot of another state', (run) => { all(run, 'snapshotTaken', '/sft')[1]!.stateHash = 'f00'; }, [/^stage sft, snapshotTaken 2: /]],
    ['other weights published', (run) => { first(run, 'policyPublished', '/tools-sft').weightsHash = 'f00'; }, [/^stage tools-sft, policyPublished 2: /]],
    ['a broken chain of states', (run) => { all(run, 'stepCommitted', '/sft')[2]!.parentStateHash = 'f00'; }, [/^stage sft, stepCommitted 3: .*not the end of step 2/]],
    ['a commit of a batch that was not closed', (run) => { all(run, 'stepCommitted', '/sft')[2]!.batchId = 'f00'; }, [/^stage sft, stepCommitted 3: .*not the one it closed/]],
    ['a batch id that is not its hash', (run) => { const id = first(run, 'batchClosed', '/sft'); first(run, 'stepCommitted', '/sft').batchId = id.batchId = 'f00'; }, [/^stage sft, batchClosed 1: .*its id is not the hash/]],
    ['settings that are not what their hash says', (run) => { first(run, 'batchClosed', '/sft').settingsJson = '{"learningRate":1}'; }, [/^stage sft, batchClosed 1: .*its settings hash/]],
    ['a stage with other settings than its recipe', (run) => { first(run, 'stageStarted').settingsHash = 'f00'; }, [/^run, stageStarted sft: the settings hash/]],
    ['a run with other settings than its manifest', (run) => { first(run, 'runCreated').settingsHash = 'f00'; }, [/^run, runCreated run: /]],
    ['a lost event', (run) => drop(run, (payload, stream) => payload.$case === 'turnSampled' && stream.endsWith('/distill.1.0.0.0')), [/^episode distill\.1\.0\.0\.0, \w{32}: the log of episode distill\.1\.0\.0\.0 lacks events/]],
    ['a missing blob', (run) => blobs.contents.delete(first(run, 'datasetSealed', '/sft').blob!.sha256), [/^stage sft, datasetSealed training: dataset training of sft: blob \w+ is missing/]],
    ['an altered blob', (run) => { const { sha256 } = first(run, 'batchClosed', '/sft').batch!; blobs.contents.set(sha256, blobs.contents.get(sha256)!.map((byte, i) => (i === 40 ? byte ^ 1 : byte))); }, [/^stage sft, batchClosed 1: .*is not the content/]],
    ['a batch blob whose samples are not its members', (run) => rewrite(run, ({ samples }) => { samples.reverse(); }), [/^stage distill, batchClosed 1: the samples are not the members/]],
    ['a sample that learns from a score its episode does not have', (run) => rewrite(run, (batch) => { salient(batch, 0).scoreRow = 99; }), [/^stage distill, batchClosed 1: distill\.1\.0\.0\.0 learns from a score that its episode does not have/]],
    ['a score of other tokens', (run) => rewrite(run, ({ samples: [sample] }) => { sample!.tokens = sample!.tokens.map((byte, i) => (i === 4 ? byte ^ 1 : byte)); }), [/^stage distill, batchClosed 1: distill\.1\.0\.0\.0 learns from a score of other tokens/]],
    ['an episode trained on twice', (run) => { const [one, two] = all(run, 'batchClosed', '/search-rl'); two!.members.push({ ...one!.members[0]! }); },
      [/^stage search-rl, batchClosed 2: episode \S+ was trained on 2 times/, /batchClosed 2: episode \S+ .*was sampled by/, /batchClosed 2: the samples are not the members/]],
    ['a usable episode that left without a reason', (run) => { first(run, 'episodeDropped').reason = ''; }, [/^stage science-sft1, episodeDropped \S+: science-sft1 dropped episode \S+ without a reason/]],
  ])('finds %s', async (_name, tamper, expected) => {
    const findings = await audit(tamper);
    for (const pattern of expected) expect(findings.filter((finding) => pattern.test(finding)), findings.join('\n')).not.toEqual([]);
    expect(findings.filter((finding) => !expected.some((pattern) => pattern.test(finding)))).toEqual([]);
  });

  it('finds a table that another model made, though its event says otherwise', async () => {
    const findings = await audit(async (run) => {
      const scored = all(run, 'episodeScored', '/distill.1.0.0.0').find(({ purpose }) => purpose === 'teacher')!;
      const before = scored.scores!;
      const table = ScoreTable.decode(await blobs.get(before));
      const after = await blobs.put(ScoreTable.encode({ ...table, scorerWeightsHash: 'f00' }).finish());
      for (const each of all(run, 'episodeScored')) if (each.scores?.sha256 === before.sha256) each.scores = after;
      await rewrite(run, (batch) => batch.samples.forEach((_, i) => { if (salient(batch, i).scoreBlobSha256 === before.sha256) salient(batch, i).scoreBlobSha256 = after.sha256; }));
    });
    expect(new Set(findings.map((finding) => finding.replace(/distill\.1\.0\.\d\.0/, 'E')))).toEqual(new Set(['stage distill, batchClosed 1: E of search learns from a table that f00 made in the batch of step 1 of distill']));
  });
});
