/**
 * Every closed batch against the episodes it names, from their streams: the tokens, log-probabilities, reward and domain
 * are this episode's, the scores are of its tokens and by the model that its stage and domain route to.
 */
import { createHash } from 'node:crypto';
import type { Domain } from '../../../core/environment.js';
import { episodeFold, scoreKey, type EpisodeState } from '../../../core/episode/episode.js';
import { trajectoryOf } from '../../../core/episode/trajectory.js';
import { packF32, packU32, unpackF32 } from '../../../core/log/bytes.js';
import { foldStream } from '../../../core/log/fold.js';
import { episodeStream } from '../../../core/log/keys.js';
import type { BlobStore, StoredEvent } from '../../../core/ports.js';
import { datasetRow, isDatasetRow } from '../../../core/projection/ledger-batches.js';
import type { RunView } from '../../../core/projection/run-view.js';
import { rewardOf } from '../../../core/reward/reward.js';
import { Batch, Dataset, ScoreTable, type LossTerm, type Sample } from '../../../proto/gen/stemma/v1/data.js';
import type { BatchClosed, BatchMember } from '../../../proto/gen/stemma/v1/events.js';
import type { RunContext } from '../../../services/runtime/run-context.js';
import { alignGivenLogprobs } from '../../../services/training/scoring.js';

export interface Labelling {
  readonly view: RunView;
  readonly streams: ReadonlyMap<string, readonly StoredEvent[]>;
  readonly context: RunContext;
  readonly blobs: BlobStore;
}

export async function mislabelled(of: Labelling): Promise<string[]> {
  const problems: string[] = [];
  for (const [stage, facts] of of.view.stages) {
    for (const closed of facts.closed) {
      const where = `step ${closed.step} of ${stage}`;
      for (const problem of await batchProblems(of, stage, closed)) problems.push(`${where}: ${problem}`);
    }
    for (const { dataset, sourceEpisodes } of facts.datasets) {
      for (const problem of await datasetProblems(of, stage, { dataset, sourceEpisodes })) problems.push(`dataset ${dataset} of ${stage}: ${problem}`);
    }
  }
  return problems;
}

async function batchProblems(of: Labelling, stage: string, closed: BatchClosed): Promise<string[]> {
  if (closed.batch === undefined) return ['it names no blob'];
  const batch = Batch.decode(await of.blobs.get(closed.batch));
  if (batch.samples.map((sample) => sample.member).join() !== closed.members.map(({ member }) => member).join()) return ['the blob has other members than the event'];
  const problems: string[] = [];
  for (const [index, member] of closed.members.entries()) {
    const sample = batch.samples[index]!;
    const wrong = isDatasetRow(member.member) ? await rowProblems(of, stage, { member, sample }) : await memberProblems(of, stage, { member, sample, closed });
    problems.push(...wrong.map((problem) => `${member.member}: ${problem}`));
  }
  return problems;
}

interface Member {
  readonly member: BatchMember;
  readonly sample: Sample;
}

async function rowProblems({ view, blobs }: Labelling, stage: string, { member, sample }: Member): Promise<string[]> {
  const { dataset, row } = datasetRow(member.member);
  const sealed = view.stages.get(stage)?.datasets.find((each) => each.dataset === dataset);
  if (sealed?.blob === undefined) return ['no such dataset'];
  const data = Dataset.decode(await blobs.get(sealed.blob)).rows[row];
  return data && same(data.tokens, sample.tokens) && data.domain === member.domain ? [] : ['it is not that row\'s tokens and domain'];
}

async function datasetProblems(of: Labelling, stage: string, { dataset, sourceEpisodes }: { dataset: string; sourceEpisodes: readonly string[] }): Promise<string[]> {
  const sealed = of.view.stages.get(stage)?.datasets.find((each) => each.dataset === dataset);
  if (sealed?.blob === undefined || sourceEpisodes.length === 0) return [];
  const { rows } = Dataset.decode(await of.blobs.get(sealed.blob));
  // A hard set lists tasks and has no tokens of its own.
  if (rows.every((row) => row.tokens.length === 0)) return [];
  return sourceEpisodes.filter((episode, index) => !same(rows[index]?.tokens, packU32(trajectoryOf(episodeOf(of, episode)).tokens)))
    .map((episode) => `its row is not the trajectory of ${episode}`);
}

function episodeOf({ streams, context }: Labelling, episode: string): EpisodeState {
  return foldStream(episodeFold, streams.get(episodeStream(context.run, episode)) ?? []).state;
}

/** The sentences whose condition does not hold. */
function failing(checks: readonly (readonly [holds: boolean, problem: string])[]): string[] {
  return checks.filter(([holds]) => !holds).map(([, problem]) => problem);
}

async function memberProblems(of: Labelling, stage: string, { member, sample, closed }: Member & { closed: BatchClosed }): Promise<string[]> {
  const episode = episodeOf(of, member.member);
  const { tokens, mask, logprobs } = trajectoryOf(episode);
  const problems = [
    ...requestProblems(of, episode, { stage, member, step: closed.step }),
    ...failing([
      [same(sample.tokens, packU32(tokens)), 'another\'s tokens'],
      [member.reward === episode.reward, `reward ${member.reward}, the episode's is ${episode.reward}`],
      [episode.turns.every((turn) => turn.spans.every(({ weightsHash }) => closed.policyWeightsHashes.includes(weightsHash))), 'sampled by other weights'],
      [recomputedReward(of, episode) === episode.reward, 'its reward is not what its own turns earn'],
    ]),
  ];
  for (const term of sample.terms) {
    const weighted = unpackF32(term.weights);
    const onlyOwn = weighted.length === mask.length && weighted.every((weight, t) => weight === 0 || mask[t] === 1);
    problems.push(...failing([[onlyOwn, 'weights on tokens it did not generate']]), ...await termProblems(of, stage, { member, episode, term, logprobs }));
  }
  return problems;
}

interface Place {
  readonly stage: string;
  readonly step: number;
  readonly member: BatchMember;
}

function requestProblems({ view }: Labelling, { started }: EpisodeState, { stage, step, member }: Place): string[] {
  const requested = view.requests.get(member.member)?.[0];
  if (requested === undefined) return ['nobody requested it'];
  const { domain, task } = requested.episode;
  return failing([
    [requested.stage === stage && requested.request.step === step, 'it was requested for another step'],
    [member.domain === domain && started?.domain === domain, `domain ${member.domain}, requested was ${domain}, played ${started?.domain ?? '(none)'}`],
    [started?.task === task, 'it played another task'],
  ]);
}

interface Term {
  readonly member: BatchMember;
  readonly episode: EpisodeState;
  readonly term: LossTerm;
  readonly logprobs: Float32Array;
}

async function termProblems(of: Labelling, stage: string, { member, episode, term, logprobs }: Term): Promise<string[]> {
  const tokens = trajectoryOf(episode).tokens;
  if (term.kind?.$case === 'policyGradient') {
    const { oldLogprobs, referenceLogprobs, advantages } = term.kind.value;
    const problems = same(oldLogprobs, packF32(logprobs)) ? [] : ['another\'s log-probabilities'];
    const weights = unpackF32(term.weights);
    if (!unpackF32(advantages).every((advantage, t) => weights[t] === 0 || Object.is(advantage, Math.fround(member.advantage)))) problems.push('advantages that are not its own');
    return referenceLogprobs.length === 0 ? problems : [...problems, ...await scoreProblems(of, { stage, member, episode, tokens, referenceLogprobs })];
  }
  if (term.kind?.$case !== 'salientVocabulary') return [`a ${term.kind?.$case ?? 'missing'} loss on an episode`];
  const { scoreBlobSha256, scoreRow } = term.kind.value;
  return scoreProblems(of, { stage, member, episode, tokens, table: { sha256: scoreBlobSha256, row: scoreRow } });
}

interface Scored {
  readonly stage: string;
  readonly member: BatchMember;
  readonly episode: EpisodeState;
  readonly tokens: Uint32Array;
  readonly referenceLogprobs?: Uint8Array;
  readonly table?: { readonly sha256: string; readonly row: number };
}

async function scoreProblems(of: Labelling, scored: Scored): Promise<string[]> {
  const { purpose, scorer, weightsHash } = routeOf(of, scored);
  const fact = scored.episode.scores.get(scoreKey(purpose, weightsHash));
  if (fact === undefined) return [`no score by ${scorer}, which its domain routes to`];
  const table = ScoreTable.decode(await of.blobs.get(fact.scores));
  const row = table.rows[fact.row];
  const { table: named, referenceLogprobs: reference, tokens } = scored;
  return failing([
    [table.scorerWeightsHash === weightsHash, `scored by another model than ${scorer}`],
    [row?.tokensSha256 === createHash('sha256').update(packU32(tokens)).digest('hex'), 'scores of another\'s tokens'],
    [named === undefined || (named.sha256 === fact.scores.sha256 && named.row === fact.row), 'another\'s score row'],
    [reference === undefined || (row !== undefined && same(reference, packF32(alignGivenLogprobs(row, tokens.length)))), 'another\'s reference log-probabilities'],
  ]);
}

/** By the recipe, not by what was recorded: the domain's teacher, or the stage's reference. */
function routeOf({ view, context }: Labelling, { stage, member }: Scored): { purpose: string; scorer: string; weightsHash: string } {
  const recipe = context.recipe.stages.find(({ id }) => id === stage);
  const scorer = recipe?.kind === 'distill' ? context.recipe.teachers[member.domain as Domain] : recipe?.kind === 'rl' ? recipe.reference : 'none';
  const result = scorer === 'base' ? context.base : view.run.stages.get(scorer)?.result;
  return { purpose: recipe?.kind === 'distill' ? 'teacher' : 'reference', scorer, weightsHash: result?.weightsHash ?? '' };
}

/** The environment's reducer over the recorded turns, then the recipe's reward. */
function recomputedReward({ context }: Labelling, episode: EpisodeState): number {
  const environment = context.environments[episode.started?.domain as Domain];
  const task = environment.task(episode.started?.task ?? '');
  let state = environment.start(task, episode.started?.protocol ?? '');
  for (const turn of episode.turns) {
    // A turn cut off without an answer was never acted on.
    if (turn.observationTokens !== undefined) state = environment.step(task, state, context.chat.decode(turn.tokens)).state;
  }
  return rewardOf(environment.domain, environment.verify(task, state), context.recipe.rewards).reward;
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(b);
}
