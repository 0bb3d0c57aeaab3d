/** Rollouts of an asynchronous stage on the real embedded log and environments: weights change under episodes in flight. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StemmaError } from '../../../core/errors.js';
import { stageStream } from '../../../core/log/keys.js';
import type { EventLog, Sampler } from '../../../core/ports.js';
import { stageFold, type StageState } from '../../../core/stage/stage.js';
import type { NewestWeights } from '../../../core/stage/staleness.js';
import type { EpisodesRequested } from '../../../proto/gen/stemma/v1/events.js';
import { patientSampler } from '../../../services/rollout/patient-sampler.js';
import { sampleWithNewest } from '../../../services/rollout/turn-sampler.js';
import { claimStream, type ClaimedStream } from '../../../services/runtime/claimed-stream.js';
import { deriveSeed } from '../../../services/runtime/seed.js';
import { STAGE, openRolloutBench, type RolloutBench } from '../../support/rollout-run.js';

const never = new AbortController().signal;

describe('standing rollouts of an asynchronous stage', () => {
  let bench: RolloutBench;
  beforeAll(async () => { bench = await openRolloutBench(6); });
  afterAll(() => bench[Symbol.asyncDispose]());

  const claimed = (log: EventLog, run: string): Promise<ClaimedStream<StageState>> =>
    claimStream(log, { stream: stageStream(run, STAGE), role: 'planner', holder: 'test', run }, stageFold);
  const commit = (stage: ClaimedStream<StageState>, step: number): Promise<unknown> => stage.record({ $case: 'stepCommitted', value: {
    step, batchId: `b${step}`, parentStateHash: 'p', stateHash: `s${step}`, weightsHash: `w${step}`, stats: [], spent: undefined,
  } });

  function stand(run: string, sampler: Sampler): Promise<{ readonly over: boolean }> {
    const rl = bench.recipe.stages.find(({ kind }) => kind === 'rl')!;
    const asynchronous = { maxStaleness: 1, onStale: 'wait', inFlight: 'between-turns' } as const;
    const recipe = { ...bench.recipe, rollout: { shardEpisodes: 4 }, stages: [{ ...rl, id: STAGE, steps: 2, asynchronous }] as typeof bench.recipe.stages };
    return bench.activities({ cancellation: () => never, sampler }, { recipe }).standRollouts({ run, stage: STAGE, slot: 0, slots: 1 });
  }

  test('rounds of two steps run at once; a commit gives every later turn the new weights and no earlier one', async () => {
    const log = await bench.newRun('ahead');
    const stage = await claimed(log, 'ahead');
    const first = [...stage.state.requests.values()].flat()[0]!;
    const ahead = { ...first, step: 2, episodes: first.episodes.map((request) => ({ ...request, episode: `2.${request.episode}`, seed: request.seed + 1n })) };
    await stage.record({ $case: 'episodesRequested', value: ahead });
    bench.sampler.loaded.add('w1');
    const owed = new Set(ahead.episodes.map(({ seed }) => deriveSeed([seed, 0])));
    let release = (): void => undefined;
    const committed = new Promise<void>((resolve) => { release = resolve; });
    const standing = stand('ahead', {
      async sample(input) {
        const isFirstTurn = owed.delete(input.seed);
        if (isFirstTurn && owed.size === 0) await commit(stage, 1).then(() => release());
        if (isFirstTurn) await committed;
        return bench.sampler.sample(input);
      },
      loadWeights: (hash, blob) => bench.sampler.loadWeights(hash, blob),
    });
    const states = async () => Promise.all(ahead.episodes.map(({ episode }) => bench.state('ahead', episode)));
    while ((await states()).some(({ status }) => status === 'owed' || status === 'running')) await new Promise((resolve) => setTimeout(resolve, 5));
    // Of step 2: all began before step 1 was committed.
    const versions = (await states()).map(({ turns }) => turns.flatMap(({ spans }) => spans.map(({ weightsHash }) => weightsHash)));
    expect(versions.some((hashes) => hashes.length > 1)).toBe(true);
    for (const [begun, ...rest] of versions) expect([begun, ...new Set(rest)]).toEqual(rest.length > 0 ? ['w', 'w1'] : ['w']);
    await commit(stage, 2);
    expect(await standing).toEqual({ over: true });
  });
});

describe('rollouts whose learner stands still', () => {
  let bench: RolloutBench;
  beforeAll(async () => { bench = await openRolloutBench(2); });
  afterAll(() => bench[Symbol.asyncDispose]());

  test('play the steps they were asked for, then look and sample nothing', async () => {
    const log = await bench.newRun('stalled');
    const stage = await claimStream(log, { stream: stageStream('stalled', STAGE), role: 'planner', holder: 'test', run: 'stalled' }, stageFold);
    const first = [...stage.state.requests.values()].flat()[0]!;
    const ahead = { ...first, step: 2, episodes: first.episodes.map((request) => ({ ...request, episode: `2.${request.episode}` })) };
    await stage.record({ $case: 'episodesRequested', value: ahead });
    const stop = new AbortController();
    let looks = 0;
    const counted: EventLog = {
      append: (events) => log.append(events), tail: (cursor, signal) => log.tail(cursor, signal), close: () => log.close(),
      readStream(stream, from) {
        if (stream === stageStream('stalled', STAGE)) looks += 1;
        return log.readStream(stream, from);
      },
    };
    let sampled = 0;
    const sampler: Sampler = {
      sample(input) {
        sampled += 1;
        return bench.sampler.sample(input);
      },
      loadWeights: (hash, blob) => bench.sampler.loadWeights(hash, blob),
    };
    const rl = bench.recipe.stages.find(({ kind }) => kind === 'rl')!;
    const recipe = { ...bench.recipe, stages: [{ ...rl, id: STAGE, steps: 9, asynchronous: { maxStaleness: 1, onStale: 'wait', inFlight: 'between-turns' } }] as typeof bench.recipe.stages };
    const standing = bench.activities({ cancellation: () => stop.signal, sampler }, { recipe, log: counted }).standRollouts({ run: 'stalled', stage: STAGE, slot: 0, slots: 1 });
    const until = async (holds: () => Promise<boolean> | boolean): Promise<void> => {
      while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const all = [...first.episodes, ...ahead.episodes];
    await until(async () => (await Promise.all(all.map(({ episode }) => bench.state('stalled', episode)))).every(({ status }) => status === 'completed' || status === 'truncated'));
    const [sampledThen, looksThen] = [sampled, looks];
    await until(() => looks > looksThen + 20);
    expect(sampled).toBe(sampledThen);
    stop.abort();
    expect(await standing).toEqual({ over: false });
  });
});

describe('a turn whose weights the trainer has just replaced', () => {
  const round = { weightsHash: 'w0', weights: undefined } as EpisodesRequested;
  const input = { tokens: new Uint32Array(1), maxNewTokens: 1, stopTokenIds: [], seed: 1n, greedy: false, temperature: 1, bannedTokenIds: [] };
  /** As a trainer's sidecar that went on to w1. */
  const onlyNew = patientSampler({
    async sample({ weightsHash }) {
      if (weightsHash !== 'w1') throw new StemmaError('sampler', 'WEIGHTS_NOT_LOADED', `${weightsHash} is not loaded`, 'Load it.');
      return { tokens: new Uint32Array(1), logprobs: new Float32Array(1), weightsHash, finish: 'stop' };
    },
    loadWeights: () => Promise.reject(new Error('no blob names them')),
  }, undefined, { withinMs: 100, onRetry: () => undefined });

  test('waits for the commit that names the new ones', async () => {
    let looks = 0;
    const look = (): Promise<NewestWeights> => Promise.resolve((looks += 1) > 3 ? { committed: 'w1' } : {});
    expect((await sampleWithNewest(onlyNew, round, { look, inFlight: 'between-turns' }).sample(input)).spans).toEqual([{ weightsHash: 'w1', tokens: 1 }]);
  });

  test('is reported where none comes', async () => {
    await expect(sampleWithNewest(onlyNew, round, { look: () => Promise.resolve({}), inFlight: 'between-turns' }).sample(input)).rejects.toMatchObject({ code: 'WEIGHTS_NOT_LOADED' });
  });
});
