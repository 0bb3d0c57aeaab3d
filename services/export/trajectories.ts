/**
 * Episodes of a run as rows of a trajectory dataset, in the columns that RL datasets use: prompt as messages, ids, mask and
 * log-probabilities of the completion (1 where the policy spoke, 0 where a tool did), reward, advantage, who sampled and who taught.
 */
import { episodeFold, isEnded, type EpisodeState } from '../../core/episode/episode.js';
import { trajectoryOf } from '../../core/episode/trajectory.js';
import { episodeStream, stageStream, runStream } from '../../core/log/keys.js';
import type { BatchMember } from '../../proto/gen/stemma/v1/events.js';
import { runFold } from '../../core/run/run.js';
import { stageFactsFold, type StageFacts } from '../../core/projection/facts.js';
import type { Requested } from '../../core/projection/requests.js';
import { chunksOf } from '../runtime/chunks.js';
import { readFold } from '../runtime/record-fact.js';
import type { RunContext } from '../runtime/run-context.js';

export interface TrajectoryRow {
  readonly run: string;
  readonly stage: string;
  /** That asked for it; 0: to make a dataset of. */
  readonly step: number;
  readonly round: number;
  /** train | dataset | evaluate */
  readonly purpose: string;
  readonly episode: string;
  readonly domain: string;
  readonly task: string;
  readonly sample: number;
  readonly prompt: readonly { readonly role: string; readonly content: string }[];
  /** With the template's tokens, tool answers included. */
  readonly completion: string;
  readonly prompt_ids: readonly number[];
  readonly completion_ids: readonly number[];
  readonly completion_mask: readonly number[];
  /** Raw temperature-1, 0 where a tool spoke. */
  readonly completion_logprobs: readonly number[];
  readonly turns: number;
  /** completed | truncated | failed */
  readonly status: string;
  readonly correct: boolean;
  readonly reward: number;
  readonly reward_components: { readonly [name: string]: number };
  /** Of the batch that took it. */
  readonly batch_step: number | null;
  readonly advantage: number | null;
  readonly dropped_reason: string | null;
  readonly policy_weights_hash: string;
  readonly teacher_weights_hash: string | null;
  readonly seed: string;
}

/** Ended episodes in the order they were asked for. One stage's requests and a chunk of trajectories are in memory at a time. */
export async function* trajectoryRows(context: RunContext): AsyncGenerator<readonly TrajectoryRow[]> {
  const { state: run } = await readFold(context.log, runStream(context.run), runFold);
  for (const stage of run.stages.keys()) {
    const { state: facts } = await readFold(context.log, stageStream(context.run, stage), stageFactsFold);
    const taken = takenBy(facts);
    const dropped = new Map(facts.dropped.map(({ episode, reason }) => [episode, reason]));
    const asked = facts.requested.flatMap((request) => request.episodes.map((episode): Requested => ({ stage, request, episode })));
    for (const chunk of chunksOf(asked)) {
      const rows = await Promise.all(chunk.map((requested) => rowOf(context, requested, { taken, dropped })));
      yield rows.filter((row) => row !== undefined);
    }
  }
}

interface Uses {
  readonly taken: ReadonlyMap<string, { readonly step: number; readonly member: BatchMember; readonly teacher: string | undefined }>;
  readonly dropped: ReadonlyMap<string, string>;
}

function takenBy({ closed }: StageFacts): Uses['taken'] {
  return new Map(closed.flatMap(({ step, members, teacherWeightsHashes }) => members.map((member) => [member.member, { step, member, teacher: teacherWeightsHashes[member.domain] }] as const)));
}

async function rowOf(context: RunContext, requested: Requested, uses: Uses): Promise<TrajectoryRow | undefined> {
  const { stage, request, episode: { episode, domain, task, sample, seed } } = requested;
  const { state } = await readFold(context.log, episodeStream(context.run, episode), episodeFold);
  if (!isEnded(state)) return undefined;
  const use = uses.taken.get(episode);
  return {
    run: context.run, stage, step: request.step, round: request.round, purpose: request.purpose,
    episode, domain, task, sample,
    prompt: promptOf(context, domain, task),
    ...completionOf(context, state),
    turns: state.turns.length, status: state.status, correct: state.correct, reward: state.reward,
    reward_components: Object.fromEntries(state.components.map(({ name, value }) => [name, value])),
    batch_step: use?.step ?? null, advantage: use?.member.advantage ?? null, dropped_reason: uses.dropped.get(episode) ?? null,
    policy_weights_hash: state.started?.weightsHash ?? request.weightsHash, teacher_weights_hash: use?.teacher ?? null,
    seed: seed.toString(),
  };
}

function promptOf(context: RunContext, domain: string, task: string): TrajectoryRow['prompt'] {
  const environment = Object.values(context.environments).find((each) => each.domain === domain);
  return environment?.task(task).prompt.map(({ role, content }) => ({ role, content })) ?? [];
}

function completionOf({ chat }: RunContext, state: EpisodeState): Pick<TrajectoryRow, 'completion' | 'prompt_ids' | 'completion_ids' | 'completion_mask' | 'completion_logprobs'> {
  const { tokens, mask, logprobs } = trajectoryOf(state);
  const from = state.promptTokens.length;
  return {
    completion: chat.decode(tokens.subarray(from)),
    prompt_ids: Array.from(state.promptTokens), completion_ids: Array.from(tokens.subarray(from)),
    completion_mask: Array.from(mask.subarray(from)), completion_logprobs: Array.from(logprobs.subarray(from)),
  };
}
