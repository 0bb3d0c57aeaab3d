/** Standing rollouts and the advance that follows them, on the real embedded log and the real environments. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stageStream } from '../../../core/log/keys.js';
import type { EventLog } from '../../../core/ports.js';
import { stageFold } from '../../../core/stage/stage.js';
import type { EpisodesRequested } from '../../../proto/gen/stemma/v1/events.js';
import { claimStream } from '../../../services/runtime/claimed-stream.js';
import { StepEpisodes } from '../../../services/training/step-episodes.js';
import { STAGE, openRolloutBench, type RolloutBench } from '../../support/rollout-run.js';

const never = new AbortController().signal;

describe('standing rollouts', () => {
  let bench: RolloutBench;
  beforeAll(async () => { bench = await openRolloutBench(6); });
  afterAll(() => bench[Symbol.asyncDispose]());

  /** As the bench, with the stage in the recipe: it takes one step, in shards of four. */
  function activities(run: string, cancellation = never) {
    const { recipe } = bench;
    const rl = recipe.stages.find(({ kind }) => kind === 'rl')!;
    const changed = { ...recipe, rollout: { shardEpisodes: 4 }, stages: [{ ...rl, id: STAGE, steps: 1 }] };
    const real = bench.activities({ cancellation: () => cancellation }, { recipe: changed });
    return { stand: (slot: number, slots: number) => real.standRollouts({ run, stage: STAGE, slot, slots }) };
  }

  async function requested(log: EventLog, run: string): Promise<EpisodesRequested> {
    const stored = await log.readStream(stageStream(run, STAGE));
    const found = stored.map(({ event }) => event.payload).find((payload) => payload?.$case === 'episodesRequested');
    if (found?.$case !== 'episodesRequested') throw new Error('nothing was requested');
    return found.value;
  }

  /** Ends the one step of the stage: what standing rollouts wait for. */
  async function commitStep(log: EventLog, run: string): Promise<void> {
    const stage = await claimStream(log, { stream: stageStream(run, STAGE), role: 'planner', holder: 'test', run }, stageFold);
    await stage.record({ $case: 'stepCommitted', value: {
      step: 1, batchId: 'b', parentStateHash: 'p', stateHash: 's', weightsHash: 'w', stats: [], spent: undefined,
    } });
  }

  test('each slot runs its own shards, the advance sees every episode end, and all are over with the last step', async () => {
    const log = await bench.newRun('stands');
    const round = await requested(log, 'stands');
    const following = new StepEpisodes(log, 'stands', { check: async () => undefined, signal: never, nowMs: () => performance.now() });
    const slots = activities('stands');
    const standing = Promise.all([slots.stand(0, 2), slots.stand(1, 2)]);
    const ended = await following.ended([round]);
    expect(ended?.map(({ request }) => request.episode)).toEqual(bench.episodes.map(({ episode }) => episode));
    expect(ended?.every(({ status }) => status !== 'failed')).toBe(true);
    await commitStep(log, 'stands');
    expect(await standing).toEqual([{ over: true }, { over: true }]);
    const claims = await Promise.all(bench.episodes.map(async ({ episode }) => (await log.readStream(`episode/stands/${episode}`))
      .filter(({ event }) => event.payload?.$case === 'claimed').length));
    expect(claims.every((count) => count === 1)).toBe(true);
  });

  test('a round requested while it stands is run', async () => {
    const log = await bench.newRun('rounds');
    const round = await requested(log, 'rounds');
    const standing = activities('rounds').stand(0, 1);
    const following = new StepEpisodes(log, 'rounds', { check: async () => undefined, signal: never, nowMs: () => performance.now() });
    expect(await following.ended([round])).toHaveLength(bench.episodes.length);
    const second = { ...round, round: 1, episodes: round.episodes.map((request) => ({ ...request, episode: `again.${request.episode}` })) };
    const stage = await claimStream(log, { stream: stageStream('rounds', STAGE), role: 'planner', holder: 'test', run: 'rounds' }, stageFold);
    await stage.record({ $case: 'episodesRequested', value: second });
    expect(await following.ended([round, second])).toHaveLength(2 * bench.episodes.length);
    await commitStep(log, 'rounds');
    expect(await standing).toEqual({ over: true });
  });

  test('weights that the sampler lacks are waited for', async () => {
    const log = await bench.newRun('unloaded', { weightsHash: 'later' });
    const standing = activities('unloaded').stand(0, 1);
    const following = new StepEpisodes(log, 'unloaded', {
      // As the planner of the stage does once a second: it makes the trainer hold the weights again.
      check: async () => { await bench.sampler.loadWeights('later', { sha256: '', length: 0n } as never); },
      signal: never, nowMs: () => 20 * performance.now(),
    });
    expect(await following.ended([await requested(log, 'unloaded')])).toHaveLength(bench.episodes.length);
    await commitStep(log, 'unloaded');
    expect(await standing).toEqual({ over: true });
  });

  test('cancelled, it ends', async () => {
    await bench.newRun('cancelled');
    const cancelled = new AbortController();
    cancelled.abort();
    expect(await activities('cancelled', cancelled.signal).stand(0, 1)).toEqual({ over: false });
  });

  test('episodes that nobody runs are given up on', async () => {
    const log = await bench.newRun('nobody');
    const following = new StepEpisodes(log, 'nobody', { check: async () => undefined, signal: never, nowMs: clockThatJumps() });
    expect(await following.ended([await requested(log, 'nobody')])).toBeUndefined();
  });

  /** Each look at it is two seconds later. */
  function clockThatJumps(): () => number {
    let nowMs = 0;
    return () => (nowMs += 2000);
  }
});
