/** Teacher scoring on the real log, over real gRPC; the scorer is a pure function without a model. */
import { createHash } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StemmaError } from '../../../core/errors.js';
import { episodeStream } from '../../../core/log/keys.js';
import type { ScoreInput, Scorer } from '../../../core/ports.js';
import { trajectoryOf } from '../../../core/episode/trajectory.js';
import type { BlobRef } from '../../../proto/gen/stemma/v1/events.js';
import { teacherScoringClient } from '../../../services/teacher-scoring/client.js';
import { createScoringMetrics } from '../../../services/teacher-scoring/metrics.js';
import { serveTeacherScoring } from '../../../services/teacher-scoring/server.js';
import { createTeacherScoring, type TeacherScoringDeps } from '../../../services/teacher-scoring/teacher-scoring.js';
import type { RouteScorer } from '../../../services/training/routing.js';
import type { TeacherScoring } from '../../../services/training/scoring.js';
import { STAGE, openRolloutBench, type RolloutBench } from '../../support/rollout-run.js';

const weightsOf = (hash: string): BlobRef => ({ sha256: `blob-of-${hash}`, length: 1n });
const away = () => new StemmaError('scorer', 'UNAVAILABLE', 'gone', 'Wait.');

/** The blob's name is a hash of the input: same input, same table. */
class TableScorer implements Scorer {
  readonly calls: ScoreInput[] = [];
  readonly failures: StemmaError[] = [];
  readonly loaded = new Map<string, BlobRef>();
  /** Refuses inputs for which this says why. */
  refuses: (input: ScoreInput) => string | undefined = () => undefined;

  async score(input: ScoreInput): Promise<BlobRef> {
    this.calls.push(input);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    if (!this.loaded.has(input.weightsHash)) throw new StemmaError('scorer', 'WEIGHTS_NOT_LOADED', 'not loaded', 'Load.');
    const refusal = this.refuses(input);
    if (refusal !== undefined) throw new StemmaError('scorer', 'INVALID', refusal, 'Fix.');
    const hash = createHash('sha256').update(`${input.weightsHash}/${input.topK}`);
    for (const { tokens, positions } of input.samples) hash.update(tokens).update(positions);
    return { sha256: hash.digest('hex'), length: BigInt(input.samples.length) };
  }

  async loadWeights(weightsHash: string, weights: BlobRef): Promise<void> {
    this.loaded.set(weightsHash, weights);
  }
}

const route: RouteScorer = async ({ purpose, domain }) => {
  if (purpose === 'reference') return { weightsHash: 'reference', weights: weightsOf('reference'), topK: 0 };
  if (domain === 'instruction') return 'none';
  if (domain === 'science') throw new StemmaError('recipe', 'INVALID', 'science has no teacher', 'Name one.');
  return { weightsHash: `teacher-${domain}`, weights: weightsOf(domain), topK: 4 };
};

describe('teacher scoring', () => {
  let bench: RolloutBench;
  beforeAll(async () => { bench = await openRolloutBench(12); });
  afterAll(() => bench[Symbol.asyncDispose]());

  const metrics = createScoringMetrics(new Registry());
  const create = (scorer: Scorer, change: Partial<TeacherScoringDeps> = {}): TeacherScoring => createTeacherScoring({
    contexts: { get: async (run) => ({ log: await bench.logs.open(run, 'write'), chat: bench.chat }) },
    scorer, route, metrics, holder: 'test', scorerPatienceMs: 2000, logger: { warn: () => undefined }, ...change,
  });
  const named = (domains: readonly string[]) => bench.episodes.filter(({ domain }) => domains.includes(domain)).map(({ episode }) => episode);
  const rolledOut = async (run: string): Promise<string> => {
    await bench.newRun(run);
    await bench.activities().rolloutShard(bench.shard(run));
    return run;
  };

  test('each episode is scored by its domain\'s teacher, at its generated positions, one call a scorer', async () => {
    const run = await rolledOut('routed');
    const scorer = new TableScorer();
    const episodes = named(['search', 'tools']);
    const answers = await create(scorer).scoreEpisodes({ run, stage: STAGE, purpose: 'teacher', step: 1, episodes });
    expect(answers.map(({ episode }) => episode)).toEqual(episodes);
    expect([...scorer.loaded.keys()].sort()).toEqual(['teacher-search', 'teacher-tools']);
    // Once to learn that its weights are missing, once to score; two scorers at a time.
    expect(scorer.calls.map(({ weightsHash, samples }) => `${weightsHash} ${samples.length}`).sort())
      .toEqual(['teacher-search 12', 'teacher-search 12', 'teacher-tools 12', 'teacher-tools 12']);
    const state = await bench.state(run, 'search.1');
    const scored = answers.find(({ episode }) => episode === 'search.1')?.scored;
    expect(scored).toMatchObject({ purpose: 'teacher', scorerWeightsHash: 'teacher-search', topK: 4, row: 1 });
    expect(state.scores.get('teacher/teacher-search')).toEqual({ topK: 4, scores: scored?.scores, row: 1 });
    const { tokens, generatedPositions } = trajectoryOf(state);
    expect(scorer.calls.at(-1)).toMatchObject({ validVocabulary: bench.chat.vocabularySize, topK: 4 });
    expect(scorer.calls[0]?.samples[1]).toEqual({ tokens, positions: generatedPositions });
  });

  test('parts of a request make together the tables that the whole makes, each by one of them', async () => {
    const whole = new TableScorer();
    const episodes = named(['search', 'tools']);
    const request = { stage: STAGE, purpose: 'teacher', step: 1, episodes } as const;
    const expected = await create(whole).scoreEpisodes({ ...request, run: await rolledOut('whole') });
    const run = await rolledOut('dealt');
    const scorers = [new TableScorer(), new TableScorer()];
    const parts = await Promise.all(scorers.map((scorer, part) => create(scorer).scoreEpisodes({ ...request, run, part, parts: scorers.length })));
    expect(scorers.map(({ loaded }) => [...loaded.keys()])).toEqual([['teacher-search'], ['teacher-tools']]);
    expect(parts.map((part) => part.filter(({ scored }) => scored).length)).toEqual([12, 12]);
    const dealt = new Map(parts.flat().filter(({ scored }) => scored).map((answer) => [answer.episode, answer]));
    expect(episodes.map((episode) => dealt.get(episode))).toEqual(expected);
  });

  test('what is recorded is returned, not made again', async () => {
    const run = await rolledOut('again');
    const scorer = new TableScorer();
    const request = { run, stage: STAGE, purpose: 'teacher' as const, step: 1, episodes: named(['tools']) };
    const first = await create(scorer).scoreEpisodes(request);
    const calls = scorer.calls.length;
    expect(await create(scorer).scoreEpisodes(request)).toEqual(first);
    expect(scorer.calls.length).toBe(calls);
    await create(scorer).scoreEpisodes({ ...request, purpose: 'reference' });
    expect((await bench.state(run, 'tools.0')).scores.size).toBe(2);
  });

  test('interrupted between two episodes of a chunk, it makes the same table again', async () => {
    const run = await rolledOut('interrupted');
    const request = { run, stage: STAGE, purpose: 'reference' as const, step: 1, episodes: named(['search']).slice(0, 10) };
    const whole = await create(new TableScorer()).scoreEpisodes({ ...request, run: await rolledOut('uninterrupted') });
    const log = await bench.logs.open(run, 'write');
    let records = 3;
    const dying = { ...log, readStream: log.readStream.bind(log), tail: log.tail.bind(log), close: log.close.bind(log),
      append: (events: Parameters<typeof log.append>[0]) => (events.some(({ payload }) => payload?.$case === 'episodeScored') && records-- <= 0
        ? Promise.reject(new Error('killed')) : log.append(events)) };
    const contexts = { get: async () => ({ log: dying, chat: bench.chat }) };
    await expect(create(new TableScorer(), { contexts }).scoreEpisodes(request)).rejects.toThrow('killed');
    expect((await bench.states(run)).filter(({ scores }) => scores.size > 0).length).toBe(3);
    expect(await create(new TableScorer()).scoreEpisodes(request)).toEqual(whole);
  });

  test('a domain routed to none is left out; one without a route is an error', async () => {
    const run = await rolledOut('none');
    const scorer = new TableScorer();
    const answers = await create(scorer).scoreEpisodes({ run, stage: STAGE, purpose: 'teacher', step: 1, episodes: ['instruction.0', 'tools.0'] });
    expect(answers[0]).toEqual({ episode: 'instruction.0' });
    expect(answers[1]?.scored).toBeDefined();
    await expect(create(scorer).scoreEpisodes({ run, stage: STAGE, purpose: 'teacher', step: 1, episodes: ['science.0'] })).rejects.toMatchObject({ code: 'INVALID' });
  });

  test('an episode that has not ended cannot be scored', async () => {
    await bench.newRun('owed');
    await expect(create(new TableScorer()).scoreEpisodes({ run: 'owed', stage: STAGE, purpose: 'reference', step: 1, episodes: ['tools.0'] }))
      .rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('owed') as string });
  });

  test('an outage is waited for, then thrown as retriable; nothing is recorded as failed', async () => {
    const run = await rolledOut('outage');
    const scorer = new TableScorer();
    scorer.failures.push(away(), away());
    const request = { run, stage: STAGE, purpose: 'reference' as const, step: 1, episodes: ['tools.0'] };
    expect((await create(scorer).scoreEpisodes(request))[0]?.scored).toBeDefined();
    scorer.failures.push(...Array.from({ length: 50 }, away));
    await expect(create(scorer, { scorerPatienceMs: 60 }).scoreEpisodes({ ...request, episodes: ['tools.1'] })).rejects.toMatchObject({ code: 'UNAVAILABLE', retriable: true });
    expect((await bench.state(run, 'tools.1')).scoreFailures.size).toBe(0);
  });

  test('a bug of the scorer is thrown, and nothing is recorded as the episode\'s fault', async () => {
    const run = await rolledOut('bug');
    const scorer = new TableScorer();
    scorer.failures.push(new StemmaError('scorer', 'INTERNAL', 'TypeError: None', 'Read its log.'));
    const request = { run, stage: STAGE, purpose: 'reference' as const, step: 1, episodes: ['tools.0'] };
    await expect(create(scorer).scoreEpisodes(request)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect((await bench.state(run, 'tools.0')).scoreFailures.size).toBe(0);
    expect((await create(scorer).scoreEpisodes(request))[0]?.scored).toBeDefined();
  });

  test('an episode the scorer refuses fails alone, is recorded, and is not tried again', async () => {
    const run = await rolledOut('refused');
    const scorer = new TableScorer();
    const bad = trajectoryOf(await bench.state(run, 'tools.2')).tokens;
    scorer.refuses = ({ samples }) => (samples.some(({ tokens }) => String(tokens) === String(bad)) ? 'not finite' : undefined);
    const request = { run, stage: STAGE, purpose: 'reference' as const, step: 1, episodes: ['tools.1', 'tools.2', 'tools.3'] };
    const answers = await create(scorer).scoreEpisodes(request);
    expect(answers.map(({ failure }) => failure)).toEqual([undefined, 'not finite', undefined]);
    expect((await bench.state(run, 'tools.2')).scoreFailures.get('reference/reference')).toBe('not finite');
    scorer.refuses = () => undefined;
    const calls = scorer.calls.length;
    expect(await create(scorer).scoreEpisodes(request)).toEqual(answers);
    expect(scorer.calls.length).toBe(calls);
  });

  test('over gRPC: the same answers, and our error codes', async () => {
    const run = await rolledOut('remote');
    const scorer = new TableScorer();
    const local = create(scorer);
    const server = await serveTeacherScoring(local);
    const client = teacherScoringClient(server.address);
    try {
      const request = { run, stage: STAGE, purpose: 'teacher' as const, step: 1, episodes: ['search.0', 'instruction.0', 'tools.0'] };
      expect(await client.scoreEpisodes(request)).toEqual(await local.scoreEpisodes(request));
      await expect(client.scoreEpisodes({ ...request, episodes: ['science.0'] })).rejects.toMatchObject({ boundary: 'recipe', code: 'INVALID', remedy: 'Name one.' });
      await expect(client.scoreEpisodes({ ...request, purpose: 'praise' as 'teacher' })).rejects.toMatchObject({ code: 'INVALID' });
      await expect(client.scoreEpisodes({ ...request, run: 'other', episodes: ['x'] })).rejects.toMatchObject({ code: 'INVALID' });
    } finally {
      client.close();
      await server.close();
    }
  });

  test('scoring touches only the scorer\'s facts', async () => {
    const events = await (await bench.logs.open('routed', 'write')).readStream(episodeStream('routed', 'search.0'));
    const byScorer = events.filter(({ event }) => event.payload?.$case === 'episodeScored');
    expect(byScorer.length).toBe(1);
    expect(events.filter(({ event }) => event.payload?.$case === 'claimed').map(({ event }) => event.payload?.$case === 'claimed' && event.payload.value.role))
      .toEqual(['rollout', 'scorer']);
  });
});
