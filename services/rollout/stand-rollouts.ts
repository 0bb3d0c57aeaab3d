/**
 * A standing rollout: it looks at what the stage asks for and runs its own shards of each round as soon as it is requested.
 * It holds nothing: killed and started again, it reads which episodes of the open rounds are unfinished and goes on with those.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { Shard, ShardResult, Standing } from '../../workflows/activities.js';
import type { OpenRoundsReader } from './open-rounds.js';
import type { RolloutContext, RolloutDeps, ShardWork } from './rollout-shard.js';

/** Then Temporal may give the slot to another worker. */
const STAND_FOR_MS = 60_000;
const LOOK_EVERY_MS = 5;
/** The planner of the stage notices within a second that samplers lack the weights. */
const WITHOUT_WEIGHTS_WAIT_MS = 250;

export interface StandingWork {
  readonly context: RolloutContext;
  readonly open: OpenRoundsReader;
  readonly runShard: (shard: Shard, work: ShardWork) => Promise<ShardResult>;
}

export async function standRollouts(deps: RolloutDeps, standing: Standing, work: StandingWork): Promise<{ readonly over: boolean }> {
  const { context, open } = work;
  const steps = context.recipe.stages.find(({ id }) => id === standing.stage)?.steps ?? 0;
  const signal = deps.cancellation();
  const startedMs = performance.now();
  const done = new Set<string>();
  while (!signal.aborted) {
    const { committed, rounds } = await open.look(context.log, standing);
    const round = rounds.find(({ step, round }) => !done.has(`${step}/${round}`));
    if (round) {
      if (await runOwnShards(standing, { ...work, round })) done.add(`${round.step}/${round.round}`);
      else await delay(WITHOUT_WEIGHTS_WAIT_MS);
      continue;
    }
    if (committed >= steps) return { over: true };
    if (performance.now() - startedMs > STAND_FOR_MS) break;
    await delay(LOOK_EVERY_MS);
  }
  return { over: false };
}

/** False: the sampler lacks the weights, and no blob names them. */
async function runOwnShards({ run, stage, slot, slots }: Standing, work: StandingWork & { readonly round: EpisodesRequested }): Promise<boolean> {
  const { context, round, runShard } = work;
  const size = context.recipe.rollout.shardEpisodes;
  const own = Array.from({ length: Math.ceil(round.episodes.length / size) }, (_, index) => index).filter((index) => index % slots === slot);
  const settled = await Promise.allSettled(own.map((index) => runShard({
    run, stage, step: round.step, round: round.round, from: index * size, to: Math.min(round.episodes.length, (index + 1) * size),
  }, { context, round })));
  const failed = settled.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  return settled.every((outcome) => outcome.status === 'fulfilled' && !outcome.value.weightsMissing);
}
