/**
 * A standing rollout: it looks at what the stage asks for and runs its own shards of each round as soon as it is requested; of a stage
 * that asks ahead, rounds of several steps at once. It holds nothing: killed and started again, it reads which episodes of the open
 * rounds are unfinished and goes on with those.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { asynchronyOf } from '../../core/recipe/recipe.js';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { Shard, ShardResult, Standing } from '../../workflows/activities.js';
import { settleAll } from '../runtime/settle-all.js';
import type { RolloutContext, RolloutDeps, ShardWork } from './rollout-shard.js';
import type { StageRequests } from './stage-requests.js';

/** Then Temporal may give the slot to another worker. */
const STAND_FOR_MS = 60_000;
const LOOK_EVERY_MS = 5;
/** The planner of the stage notices within a second that samplers lack the weights. */
const WITHOUT_WEIGHTS_WAIT_MS = 250;

export interface StandingWork {
  readonly context: RolloutContext;
  readonly requests: StageRequests;
  readonly runShard: (shard: Shard, work: ShardWork) => Promise<ShardResult>;
}

export async function standRollouts(deps: RolloutDeps, standing: Standing, work: StandingWork): Promise<{ readonly over: boolean }> {
  const stage = work.context.recipe.stages.find(({ id }) => id === standing.stage);
  const signal = deps.cancellation();
  const startedMs = performance.now();
  const inFlight = new RoundsInFlight((round) => runOwnShards(standing, { ...work, round }));
  let over = false;
  while (!signal.aborted && !inFlight.failed) {
    const { committed, rounds } = await work.requests.look();
    over = committed >= (stage?.steps ?? 0);
    const timeIsUp = performance.now() - startedMs > STAND_FOR_MS;
    if (!timeIsUp) inFlight.begin(rounds);
    if (inFlight.size === 0 && (over || timeIsUp)) break;
    // A synchronous stage asks for nothing while a round of it runs.
    await Promise.race([...inFlight.running(), ...(inFlight.size === 0 || asynchronyOf(stage) ? [delay(LOOK_EVERY_MS)] : [])]);
  }
  // All settle before the activity does: it must not go on writing beside its own retry.
  await Promise.all(inFlight.running());
  if (inFlight.failed) throw inFlight.failed.reason;
  return { over };
}

class RoundsInFlight {
  private readonly done = new Set<string>();
  private readonly inFlight = new Map<string, Promise<void>>();
  failed: { readonly reason: unknown } | undefined;

  constructor(private readonly run: (round: EpisodesRequested) => Promise<boolean>) {}

  get size(): number {
    return this.inFlight.size;
  }

  /** None rejects. */
  running(): Iterable<Promise<void>> {
    return this.inFlight.values();
  }

  begin(rounds: readonly EpisodesRequested[]): void {
    for (const round of rounds) {
      const key = `${round.step}/${round.round}`;
      if (!this.done.has(key) && !this.inFlight.has(key)) this.inFlight.set(key, this.settled(key, round));
    }
  }

  private async settled(key: string, round: EpisodesRequested): Promise<void> {
    try {
      if (await this.run(round)) this.done.add(key);
      else await delay(WITHOUT_WEIGHTS_WAIT_MS);
    } catch (reason) {
      this.failed ??= { reason };
    } finally {
      this.inFlight.delete(key);
    }
  }
}

/** False: the sampler lacks the weights, and no blob names them. */
async function runOwnShards(standing: Standing, work: StandingWork & { readonly round: EpisodesRequested }): Promise<boolean> {
  const { context, requests, round, runShard } = work;
  const { run, stage, slot, slots } = standing;
  const size = context.recipe.rollout.shardEpisodes;
  const own = Array.from({ length: Math.ceil(round.episodes.length / size) }, (_, index) => index).filter((index) => index % slots === slot);
  const results = await settleAll(own.map((index) => runShard({
    run, stage, step: round.step, round: round.round, from: index * size, to: Math.min(round.episodes.length, (index + 1) * size),
  }, { context, requests, round })));
  return results.every(({ weightsMissing }) => !weightsMissing);
}
