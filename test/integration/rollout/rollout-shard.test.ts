/** Rollout on the real embedded log and the real environments; the sampler is a pure function without a model. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Environment } from '../../../core/environment.js';
import { MAX_ATTEMPTS, isEnded, type EpisodeState } from '../../../core/episode/episode.js';
import { StemmaError } from '../../../core/errors.js';
import { episodeStream } from '../../../core/log/keys.js';
import type { EventLog, Sampler } from '../../../core/ports.js';
import { openRolloutBench, type RolloutBench } from '../../support/rollout-run.js';

const away = () => new StemmaError('sampler', 'UNAVAILABLE', 'gone', 'Wait.');

/** Appends `allowed` events, the last call's perhaps only in part, then behaves like a killed process. */
function dyingLog(log: EventLog, allowed: number): EventLog {
  let left = allowed;
  return {
    async append(events) {
      const landed = events.slice(0, left);
      left -= landed.length;
      await log.append(landed);
      if (landed.length < events.length) throw new StemmaError('log', 'UNAVAILABLE', 'killed', 'Start again.');
    },
    readStream: (stream, from) => log.readStream(stream, from),
    tail: (cursor, signal) => log.tail(cursor, signal),
    close: () => log.close(),
  };
}

/** What an episode came to, whichever attempt it was. */
function said({ reward, turns }: EpisodeState) {
  return { reward, turns: turns.map(({ tokens, logprobs, spans, finish, observationTokens, record }) => ({ tokens, logprobs, spans, finish, observationTokens, record })) };
}

async function countEvents(log: EventLog, streams: readonly string[]): Promise<number> {
  const read = await Promise.all(streams.map((stream) => log.readStream(stream)));
  return read.reduce((sum, events) => sum + events.length, 0);
}

describe('a shard of episodes', () => {
  let bench: RolloutBench;
  beforeAll(async () => { bench = await openRolloutBench(6); });
  afterAll(() => bench[Symbol.asyncDispose]());

  test('every episode ends with one verdict; turns carry tokens, log-probabilities and records', async () => {
    await bench.newRun('plain');
    expect(await bench.activities().rolloutShard(bench.shard('plain'))).toEqual({ finished: bench.episodes.length, weightsMissing: false });
    const states = await bench.states('plain');
    expect(new Set(states.map(({ status }) => status))).toEqual(new Set(['completed', 'truncated']));
    for (const state of states) {
      for (const turn of state.turns) expect(turn.logprobs.length).toBe(turn.tokens.length);
      if (state.status === 'completed') expect(state.turns.every(({ record }) => record !== undefined)).toBe(true);
      expect(Number.isFinite(state.reward)).toBe(true);
    }
    expect(states.filter(({ correct }) => correct).length).toBeGreaterThan(states.length / 2);
    expect(states.some(({ turns }) => turns.length > 1)).toBe(true);
  });

  test('a finished shard asked again does nothing', async () => {
    await bench.newRun('twice');
    await bench.activities().rolloutShard(bench.shard('twice'));
    const log = await bench.logs.open('twice', 'write');
    const streams = bench.episodes.map(({ episode }) => episodeStream('twice', episode));
    const before = await countEvents(log, streams);
    expect((await bench.activities().rolloutShard(bench.shard('twice'))).finished).toBe(bench.episodes.length);
    expect(await countEvents(log, streams)).toBe(before);
  });

  test('a sampler that is away is waited for', async () => {
    await bench.newRun('patient');
    bench.sampler.failNext(away(), away(), away());
    expect((await bench.activities().rolloutShard(bench.shard('patient'))).finished).toBe(bench.episodes.length);
    expect(bench.warnings.some((line) => line.includes('waiting for the sampler'))).toBe(true);
  });

  test('a sampler that stays away fails the shard retriably, and episodes are still owed', async () => {
    await bench.newRun('outage');
    const gone = { sample: () => Promise.reject(away()), loadWeights: () => Promise.reject(away()) };
    const failure = bench.activities({ sampler: gone, samplerPatienceMs: 60 }).rolloutShard(bench.shard('outage'));
    await expect(failure).rejects.toMatchObject({ code: 'UNAVAILABLE', retriable: true });
    expect((await bench.states('outage')).some(isEnded)).toBe(false);
  });

  test('weights that are missing are loaded from the blob the request names', async () => {
    const weights = { sha256: 'aa', length: 1n };
    await bench.newRun('named', { weightsHash: 'w-named', weights });
    expect(await bench.activities().rolloutShard(bench.shard('named'))).toEqual({ finished: bench.episodes.length, weightsMissing: false });
    expect(bench.sampler.loaded.has('w-named')).toBe(true);
  });

  test('weights that no blob names are reported, not guessed', async () => {
    await bench.newRun('unnamed', { weightsHash: 'w-unnamed' });
    expect(await bench.activities().rolloutShard(bench.shard('unnamed'))).toEqual({ finished: 0, weightsMissing: true });
    bench.sampler.loaded.add('w-unnamed');
    expect((await bench.activities().rolloutShard(bench.shard('unnamed'))).finished).toBe(bench.episodes.length);
  });

  test('an environment that always throws ends its episodes failed, with the reason, and no reward is made of it', async () => {
    await bench.newRun('bug');
    const broken: Environment = { ...bench.environments.search, step() { throw new Error('page store is broken\nstack'); } };
    const environments = { ...bench.environments, search: broken } as typeof bench.environments;
    await bench.activities({}, { environments }).rolloutShard(bench.shard('bug'));
    const failed = (await bench.states('bug')).filter(({ status }) => status === 'failed');
    expect(failed.length).toBeGreaterThan(0);
    for (const state of failed) {
      expect(state.started?.domain).toBe('search');
      expect(state.aborted.length).toBe(MAX_ATTEMPTS);
      expect(state).toMatchObject({ detail: 'page store is broken', correct: false, reward: 0, components: [] });
    }
  });

  test('a task that cannot be made fails the same way', async () => {
    await bench.newRun('no-task');
    const broken: Environment = { ...bench.environments.search, task() { throw new Error('no such task'); } };
    await bench.activities({}, { environments: { ...bench.environments, search: broken } as typeof bench.environments }).rolloutShard(bench.shard('no-task'));
    expect(await bench.state('no-task', 'search.0')).toMatchObject({ status: 'failed', detail: 'no such task' });
    expect((await bench.state('no-task', 'tools.0')).status).not.toBe('failed');
  });

  test('an environment bug that passes is retried and leaves no trace in the outcome', async () => {
    await bench.newRun('once');
    await bench.newRun('never');
    let faults = 1;
    const flaky: Environment = {
      ...bench.environments.search,
      step: (...args) => { if (faults-- > 0) throw new Error('hiccup'); return bench.environments.search.step(...args); },
    };
    await bench.activities().rolloutShard(bench.shard('never'));
    await bench.activities({}, { environments: { ...bench.environments, search: flaky } as typeof bench.environments }).rolloutShard(bench.shard('once'));
    const [disturbed, plain] = [await bench.states('once'), await bench.states('never')];
    expect(disturbed.reduce((sum, { aborted }) => sum + aborted.length, 0)).toBe(1);
    expect(disturbed.map(said)).toEqual(plain.map(said));
  });

  test('an interrupted attempt in an environment that cannot be resumed is aborted, not resumed', async () => {
    await bench.newRun('external');
    const external = Object.fromEntries(Object.entries(bench.environments).map(([domain, environment]) => [domain, { ...environment, resumable: false }]));
    const context = { environments: external as unknown as typeof bench.environments };
    const log = dyingLog(await bench.logs.open('external', 'write'), bench.episodes.length * 4);
    await expect(bench.activities({}, { ...context, log }).rolloutShard(bench.shard('external'))).rejects.toThrow('killed');
    const interrupted = (await bench.states('external')).filter((state) => !isEnded(state) && state.turns.length > 0).length;
    expect(interrupted).toBeGreaterThan(0);
    await bench.activities({}, context).rolloutShard(bench.shard('external'));
    const states = await bench.states('external');
    expect(states.every(isEnded)).toBe(true);
    expect(states.filter(({ aborted }) => aborted.length > 0).length).toBe(interrupted);
  });

  test('a round that nobody requested is NOT_FOUND, until it is requested', async () => {
    const activities = bench.activities();
    const shard = bench.shard('late');
    await expect(activities.rolloutShard(shard)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await bench.newRun('late');
    expect((await activities.rolloutShard(shard)).finished).toBe(bench.episodes.length);
    await expect(activities.rolloutShard({ ...shard, round: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('metrics count what happened', async () => {
    const text = await bench.registry.metrics();
    expect(text).toMatch(/stemma_rollout_episodes_total\{domain="search",status="failed"\} [1-9]/);
    expect(text).toMatch(/stemma_rollout_running_episodes 0/);
  });
});

describe('killed at any moment and resumed', () => {
  test('the same episodes end the same way', async () => {
    await using bench = await openRolloutBench(1);
    await bench.newRun('whole');
    await bench.activities().rolloutShard(bench.shard('whole'));
    const whole = (await bench.states('whole'));
    const streams = bench.episodes.map(({ episode }) => episodeStream('whole', episode));
    const total = await countEvents(await bench.logs.open('whole', 'write'), streams);
    for (let allowed = 0; allowed < total; allowed++) {
      const run = `killed-${allowed}`;
      const log = dyingLog(await bench.newRun(run), allowed);
      await expect(bench.activities({}, { log }).rolloutShard(bench.shard(run))).rejects.toThrow('killed');
      await bench.activities().rolloutShard(bench.shard(run));
      expect(await bench.states(run)).toEqual(whole);
    }
  });

  test('two workers at once: each episode has one history', async () => {
    await using bench = await openRolloutBench(2);
    await bench.newRun('alone');
    await bench.newRun('contested');
    await bench.activities().rolloutShard(bench.shard('alone'));
    const both = [bench.activities({ holder: 'a' }), bench.activities({ holder: 'b' })];
    await Promise.all(both.map((worker) => worker.rolloutShard(bench.shard('contested'))));
    await bench.activities().rolloutShard(bench.shard('contested'));
    expect(await bench.states('contested')).toEqual(await bench.states('alone'));
  });

  test('a worker that has lost its episodes samples nothing beyond the turns in flight', async () => {
    await using bench = await openRolloutBench(2);
    await bench.newRun('taken');
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => { letGo = resolve; });
    let asked = 0;
    const slow: Sampler = {
      async sample(input) {
        asked += 1;
        await held;
        return bench.sampler.sample(input);
      },
      loadWeights: (hash, weights) => bench.sampler.loadWeights(hash, weights),
    };
    const loser = bench.activities({ holder: 'a', sampler: slow }).rolloutShard(bench.shard('taken'));
    await vi.waitFor(() => expect(asked).toBe(bench.episodes.length));
    await bench.activities({ holder: 'b' }).rolloutShard(bench.shard('taken'));
    const before = await bench.states('taken');
    letGo();
    await loser;
    expect(asked).toBe(bench.episodes.length);
    expect(await bench.states('taken')).toEqual(before);
  });
});
