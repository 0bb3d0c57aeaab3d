/**
 * One episode, turn by turn, from wherever its stream stands.
 *
 * What must be durable when: a turn before its tool runs, the end before the shard reports it. The environments
 * are reducers, so an observation may be appended together with the turn that follows it: lost, it is computed again
 * from the recorded turn. One that is not resumable gets its observations recorded at once, and its interrupted attempt aborted.
 */
import type { Environment, Json, Task, Transition } from '../../core/environment.js';
import { nextEpisodeAction, type EndStatus, type EpisodeAction } from '../../core/episode/episode.js';
import { takeFact, type RunningEpisode } from '../../core/episode/running.js';
import { packF32, packU32 } from '../../core/log/bytes.js';
import type { Payload } from '../../core/log/fold.js';
import type { Budget, Rewards } from '../../core/recipe/recipe.js';
import { rewardOf } from '../../core/reward/reward.js';
import type { EpisodeEnded, EpisodeRequest, EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { Chat } from '../runtime/chat.js';
import type { ClaimedStream } from '../runtime/claimed-stream.js';
import { deriveSeed } from '../runtime/seed.js';
import { inSpan } from '../runtime/tracing/spans.js';
import type { RolloutMetrics } from './metrics.js';
import type { TurnSampler } from './turn-sampler.js';

export interface EpisodeWork {
  readonly stage: string;
  readonly round: EpisodesRequested;
  readonly request: EpisodeRequest;
  readonly stream: ClaimedStream<RunningEpisode>;
  readonly environment: Environment;
  readonly budget: Budget;
  readonly rewards: Rewards;
  readonly chat: Chat;
  readonly sampler: TurnSampler;
  readonly metrics: RolloutMetrics;
  /** Called after each turn. */
  readonly progressed: () => void;
  readonly onAborted: (reason: string) => void;
}

/** Runs until the episode has its terminal fact. Rejects with what the sampler or the log threw, CLAIM_LOST included. */
export async function runEpisode(work: EpisodeWork): Promise<EndStatus> {
  const run = new EpisodeRun(work);
  await run.abortIfInterrupted();
  for (;;) {
    const action = nextEpisodeAction(run.state, work.budget);
    if (action.kind === 'nothing') break;
    await run.take(action);
    work.progressed();
  }
  return run.state.status as EndStatus;
}

type Doing<K extends EpisodeAction['kind']> = Extract<EpisodeAction, { readonly kind: K }>;

/** A tool or verifier that throws: a bug of the environment, never the model's failure. */
class EnvironmentFault extends Error {}

class EpisodeRun {
  /** Ahead of the log by what is pending. */
  readonly state: RunningEpisode;
  private pending: Payload[] = [];
  private task: Task | undefined;
  /** Of the current attempt, after `acted` turns. */
  private environmentState: { readonly value: Json; readonly acted: number } | undefined;

  constructor(private readonly work: EpisodeWork) {
    this.state = work.stream.release();
  }

  async abortIfInterrupted(): Promise<void> {
    const inAttempt = this.state.attempts > this.state.aborted.length && this.state.turns.length > 0;
    if (!inAttempt || this.work.environment.resumable || this.state.status !== 'running') return;
    this.abort('interrupted in an environment that cannot be resumed');
    await this.flush();
  }

  async take(action: EpisodeAction): Promise<void> {
    try {
      switch (action.kind) {
        case 'start-attempt': return this.startAttempt(action.attempt);
        case 'sample': return await this.sample(action);
        case 'act': return await this.act(action.turn);
        case 'end': return await this.end(action);
        case 'nothing': return;
      }
    } catch (error) {
      if (!(error instanceof EnvironmentFault)) throw error;
      this.abort(error.message);
      await this.flush();
    }
  }

  /** The start is appended with the first turn: until then nothing has happened that could be lost. */
  private startAttempt(attempt: number): void {
    const { stage, round, request, chat } = this.work;
    this.environmentState = undefined;
    let prompt: Uint32Array = new Uint32Array(0);
    let fault: unknown;
    try {
      prompt = guarded(() => chat.encodePrompt(this.loadedTask().prompt));
    } catch (error) {
      fault = error;
    }
    this.note({ $case: 'attemptStarted', value: {
      attempt, stage, domain: request.domain, task: request.task, weightsHash: round.weightsHash, seed: request.seed,
      greedy: round.greedy, protocol: round.protocol, promptTokens: packU32(prompt),
    } });
    if (fault !== undefined) throw fault;
  }

  private async sample({ turn, maxNewTokens }: Doing<'sample'>): Promise<void> {
    const { round, request, chat, sampler, metrics, stream } = this.work;
    // Sampling is what costs: who has lost the episode samples no turn beyond the one that was in flight.
    if (turn > 0) await stream.assertHeld();
    const startedMs = performance.now();
    const tokens = this.state.context;
    const sampled = await inSpan('turn', { about: { turn } }, () => sampler.sample({
      tokens, maxNewTokens, stopTokenIds: chat.stopTokenIds,
      // Never from attempt, claim or run: an episode taken up again samples the same tokens.
      seed: deriveSeed([request.seed, turn]),
      greedy: round.greedy, temperature: round.greedy ? 1 : round.temperature, bannedTokenIds: chat.bannedTokenIds,
    }));
    metrics.sampled(request.domain, sampled.tokens.length, (performance.now() - startedMs) / 1000);
    metrics.changedWeights(request.domain, sampled.spans.length - 1);
    this.note({ $case: 'turnSampled', value: {
      attempt: this.state.attempts, turn, tokens: packU32(sampled.tokens), logprobs: packF32(sampled.logprobs),
      weightsHash: sampled.spans[0]!.weightsHash, finish: sampled.finish,
      changedWeights: sampled.spans.length > 1 ? { spans: [...sampled.spans], kvCache: 'recomputed' } : undefined,
    } });
    // An end that follows without a tool is appended with the turn.
    if (nextEpisodeAction(this.state, this.work.budget).kind === 'act') await this.flush();
  }

  private async act(turn: number): Promise<void> {
    // An external effect cannot be taken back: only who still holds the episode may cause it.
    if (!this.work.environment.resumable) await this.work.stream.assertHeld();
    const transition = this.stepEnvironment(turn);
    this.noteObservation(turn, transition);
    if (!this.work.environment.resumable) await this.flush();
  }

  private noteObservation(turn: number, { done, observation, record }: Transition): void {
    const tokens = done ? new Uint32Array(0) : guarded(() => this.work.chat.encodeObservation(observation ?? ''));
    this.note({ $case: 'observationRecorded', value: {
      attempt: this.state.attempts, turn, tokens: packU32(tokens), recordJson: JSON.stringify(record),
    } });
  }

  private stepEnvironment(turn: number): Transition {
    const { environment, chat, metrics, request } = this.work;
    const state = this.environmentStateBefore(turn);
    const startedMs = performance.now();
    const transition = guarded(() => environment.step(this.loadedTask(), state, chat.decode(this.state.tokensOf(turn))));
    metrics.acted(request.domain, (performance.now() - startedMs) / 1000);
    this.environmentState = { value: transition.state, acted: turn + 1 };
    return transition;
  }

  /** Folds the recorded turns again unless the state is at hand. */
  private environmentStateBefore(turn: number): Json {
    if (this.environmentState?.acted === turn) return this.environmentState.value;
    const { environment, chat, round } = this.work;
    return guarded(() => {
      let state = environment.start(this.loadedTask(), round.protocol);
      for (let acted = 0; acted < turn; acted += 1) state = environment.step(this.loadedTask(), state, chat.decode(this.state.tokensOf(acted))).state;
      return state;
    });
  }

  private async end(action: Doing<'end'>): Promise<void> {
    const value = action.status === 'failed' ? this.failure(action.reason) : await this.outcome(action.status);
    this.note({ $case: 'episodeEnded', value });
    await this.flush();
    await this.work.stream.assertHeld();
    this.work.metrics.ended(this.work.request.domain, action.status);
  }

  private failure(reason: string): EpisodeEnded {
    return { ...this.counts(), status: 'failed', correct: false, reward: 0, components: [], rubrics: [], detail: reason };
  }

  private async outcome(status: 'completed' | 'truncated'): Promise<EpisodeEnded> {
    const { environment, rewards, request } = this.work;
    const state = await this.finalState();
    const verdict = guarded(() => environment.verify(this.loadedTask(), state));
    const { reward, components } = guarded(() => rewardOf(environment.domain, verdict, rewards));
    if (!Number.isFinite(reward)) throw new EnvironmentFault(`the reward of task ${request.task} is ${reward}`);
    return {
      ...this.counts(), status, correct: verdict.correct, reward, components: [...components],
      rubrics: [...verdict.rubrics], detail: verdict.answer,
    };
  }

  /**
   * A turn cut by length still counts where it holds an answer (recipe gap list #16). To know, the reducer is asked and,
   * unless the turn was an answer, its new state thrown away; an environment with external effects is not asked.
   */
  private async finalState(): Promise<Json> {
    const turn = this.state.turns.length - 1;
    const last = this.state.turns.at(-1);
    if (last === undefined || last.finish === 'stop' || last.observationLength !== undefined) {
      return this.environmentStateBefore(this.state.turns.length);
    }
    const before = this.environmentStateBefore(turn);
    if (!this.work.environment.resumable) return before;
    await this.flush();
    const transition = this.stepEnvironment(turn);
    if (transition.record.action.kind !== 'answer') return before;
    this.noteObservation(turn, { ...transition, done: true });
    return transition.state;
  }

  private counts(): Pick<EpisodeEnded, 'attempt' | 'turns' | 'generatedTokens'> {
    const { attempts: attempt, turns, generatedTokens } = this.state;
    return { attempt, turns: turns.length, generatedTokens };
  }

  private abort(reason: string): void {
    this.environmentState = undefined;
    this.note({ $case: 'attemptAborted', value: { attempt: this.state.attempts, reason } });
    this.work.metrics.aborted(this.work.request.domain);
    this.work.onAborted(reason);
  }

  private loadedTask(): Task {
    this.task ??= this.work.environment.task(this.work.request.task);
    return this.task;
  }

  private note(payload: Payload): void {
    this.pending.push(payload);
    takeFact(this.state, payload);
  }

  private async flush(): Promise<void> {
    if (this.pending.length === 0) return;
    const payloads = this.pending;
    this.pending = [];
    await this.work.stream.record(...payloads);
  }
}

/** The first line of what was thrown is the reason people read. */
function guarded<T>(environmentCode: () => T): T {
  try {
    return environmentCode();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new EnvironmentFault(message.split('\n')[0], { cause: error });
  }
}
