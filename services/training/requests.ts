/** Asking for episodes, and finding out what became of them. */
import type { Domain } from '../../core/environment.js';
import { episodeFold, type EpisodeState } from '../../core/episode/episode.js';
import { trajectoryOf, type Trajectory } from '../../core/episode/trajectory.js';
import { episodeStream } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import { roundsOf, type StageState } from '../../core/stage/stage.js';
import type { BlobRef, EpisodeDropped, EpisodeRequest, EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { Shard, StageNeeds, StageRef } from '../../workflows/activities.js';
import { readFold } from '../runtime/record-fact.js';
import { deriveSeed } from '../runtime/seed.js';
import type { StageSession } from './session.js';

export interface AskedTask {
  readonly domain: Domain;
  readonly task: string;
  /** Which samples of its group; by default all. */
  readonly samples?: readonly number[];
}

export interface RoundPlan {
  readonly step: number;
  readonly round: number;
  readonly purpose: 'train' | 'evaluate' | 'dataset';
  readonly weightsHash: string;
  /** A published blob of these weights; absent where samplers share the trainer's process and the weights are its current ones. */
  readonly weights?: BlobRef;
  readonly greedy: boolean;
  readonly temperature: number;
  readonly protocol: string;
  readonly tasks: readonly AskedTask[];
  readonly samplesPerTask: number;
  /** Usable episodes that this round replaces; said in the same append. */
  readonly drops?: readonly EpisodeDropped[];
}

/** Records the request and says which rollouts it waits for. Seeds come from (recipe seed, stage, step, prompt, sample), never from run, attempt or claim. */
export async function requestRound(session: StageSession, plan: RoundPlan): Promise<StageNeeds> {
  const { stage } = session.ref;
  const wholeGroup = Array.from({ length: plan.samplesPerTask }, (_, sample) => sample);
  const episodes: EpisodeRequest[] = plan.tasks.flatMap(({ domain, task, samples = wholeGroup }, p) =>
    samples.map((sample) => ({
      episode: `${stage}.${plan.step}.${plan.round}.${p}.${sample}`,
      domain, task, sample,
      seed: deriveSeed([session.context.seed, stage, plan.step, plan.round, p, task, sample]),
    })));
  await session.stage.record(...(plan.drops ?? []).map((value) => ({ $case: 'episodeDropped' as const, value })), {
    $case: 'episodesRequested',
    value: {
      step: plan.step, round: plan.round, purpose: plan.purpose, weightsHash: plan.weightsHash, weights: plan.weights,
      greedy: plan.greedy, temperature: plan.temperature, protocol: plan.protocol, episodes,
    },
  });
  // Just asked for, all of them are owed: nothing to read. Earlier rounds of the step are done, or there would be no new one.
  const shards = shardsOf(session.ref, plan, { episodes: episodes.length, size: session.context.recipe.rollout.shardEpisodes });
  return { kind: 'rollouts', step: plan.step, shards };
}

function shardsOf(ref: StageRef, at: { readonly step: number; readonly round: number }, cut: { readonly episodes: number; readonly size: number }): Shard[] {
  return Array.from({ length: Math.ceil(cut.episodes / cut.size) }, (_, i) => ({
    run: ref.run, stage: ref.stage, step: at.step, round: at.round, from: i * cut.size, to: Math.min(cut.episodes, (i + 1) * cut.size),
  }));
}

export interface Finished {
  readonly request: EpisodeRequest;
  readonly state: EpisodeState;
  /** Made when first asked for: not every look at an episode needs its tokens. */
  readonly trajectory: Trajectory;
  readonly status: 'completed' | 'truncated' | 'failed';
  readonly correct: boolean;
  readonly reward: number;
}

/** Every episode of these rounds once all are terminal; undefined while any is owed. */
export async function finishedEpisodes(log: EventLog, run: string, rounds: readonly EpisodesRequested[]): Promise<Finished[] | undefined> {
  const all = await Promise.all(rounds.flatMap((r) => r.episodes).map((request) => readEpisode(log, run, request)));
  const finished = all.filter((e): e is Finished => e !== undefined);
  return finished.length === all.length ? finished : undefined;
}

async function readEpisode(log: EventLog, run: string, request: EpisodeRequest): Promise<Finished | undefined> {
  return finishedFrom(request, (await readFold(log, episodeStream(run, request.episode), episodeFold)).state);
}

/** Undefined while the episode is owed. */
export function finishedFrom(request: EpisodeRequest, state: EpisodeState): Finished | undefined {
  if (state.status === 'owed' || state.status === 'running') return undefined;
  let trajectory: Trajectory | undefined;
  return {
    request, state, status: state.status, correct: state.correct, reward: state.reward,
    get trajectory() {
      return (trajectory ??= trajectoryOf(state));
    },
  };
}

/** Shards of the step's rounds that still owe episodes: what the rollout workers are asked for. */
export async function owedShards(log: EventLog, ref: StageRef, state: StageState, work: { step: number; shardEpisodes: number }): Promise<Shard[]> {
  const shards: Shard[] = [];
  for (const request of roundsOf(state, work.step)) {
    const done = await Promise.all(request.episodes.map((e) => readEpisode(log, ref.run, e)));
    shards.push(...shardsOf(ref, request, { episodes: request.episodes.length, size: work.shardEpisodes })
      .filter(({ from, to }) => done.slice(from, to).some((d) => d === undefined)));
  }
  return shards;
}

/** The rollouts this step waits for. */
export async function needRollouts(session: StageSession, step: number): Promise<StageNeeds> {
  const { shardEpisodes } = session.context.recipe.rollout;
  const shards = await owedShards(session.context.log, session.ref, session.stage.state, { step, shardEpisodes });
  // The last one ended between two reads: look again.
  if (shards.length === 0) return { kind: 'advance', step };
  return { kind: 'rollouts', step, shards };
}
