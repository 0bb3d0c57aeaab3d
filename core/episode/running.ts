/**
 * An episode in flight as the worker that plays it holds it: the same facts as EpisodeState as far as the next action and the next turn's
 * context need them, in two growing arrays. What a state replaces at each turn lives until the next one: with 100,000 in flight that is
 * long enough to be copied by every collection, so here almost nothing is replaced.
 *
 *   tokens   prompt │ turn 0 │ observation 0 │ turn 1 │ …        the context, in order
 *   ends            ▲ 2t        ▲ 2t + 1                         where turn t and its observation end
 */
import { unpackInto, wordCount } from '../log/bytes.js';
import type { Fold, Payload } from '../log/fold.js';
import { endStatus, isEnded, type EpisodeProgress, type EpisodeStatus } from './episode.js';

const NOT_OBSERVED = 0xffff_ffff;
const FIRST_ENDS = 8;
const ROOM_FOR_TURNS = 64;

interface LastTurn {
  readonly finish: 'stop' | 'length';
  readonly observationLength: number | undefined;
}

export class RunningEpisode implements EpisodeProgress {
  status: EpisodeStatus = 'owed';
  attempts = 0;
  readonly aborted: string[] = [];
  /** Of the attempt's turns together. */
  generatedTokens = 0;
  private tokens = new Uint32Array(0);
  private used = 0;
  private promptLength = 0;
  private ends = new Uint32Array(0);
  private count = 0;
  private lastFinish: LastTurn['finish'] = 'stop';

  get contextLength(): number {
    return this.used;
  }

  /** Prompt, turns and observations of the attempt so far. Stays as it is when more is added: only what follows it is written. */
  get context(): Uint32Array {
    return this.tokens.subarray(0, this.used);
  }

  get turns(): { readonly length: number; at(index: -1): LastTurn | undefined } {
    return { length: this.count, at: () => this.lastTurn() };
  }

  tokensOf(turn: number): Uint32Array {
    return this.tokens.subarray(turn === 0 ? this.promptLength : this.ends[2 * turn - 1], this.ends[2 * turn]);
  }

  /** Begins anew, in arrays of its own: who still samples after the attempt before holds a view on them. */
  start(attempt: number, prompt: Uint8Array): void {
    this.status = 'running';
    this.attempts = attempt;
    this.promptLength = wordCount(prompt);
    this.tokens = new Uint32Array(this.promptLength + ROOM_FOR_TURNS);
    this.ends = new Uint32Array(FIRST_ENDS);
    this.used = 0;
    this.count = 0;
    this.generatedTokens = 0;
    this.append(prompt);
  }

  sampled(tokens: Uint8Array, finish: string): void {
    this.append(tokens);
    if (2 * this.count + 2 > this.ends.length) this.ends = grown(this.ends, 2 * this.count + 2);
    this.ends[2 * this.count] = this.used;
    this.ends[2 * this.count + 1] = NOT_OBSERVED;
    this.count += 1;
    this.generatedTokens += wordCount(tokens);
    this.lastFinish = finish === 'stop' ? 'stop' : 'length';
  }

  /** Of the last turn. A second answer to it takes the place of the first. */
  observed(tokens: Uint8Array): void {
    this.cutTo(this.ends[2 * this.count - 2]!);
    this.append(tokens);
    this.ends[2 * this.count - 1] = this.used;
  }

  private lastTurn(): LastTurn | undefined {
    if (this.count === 0) return undefined;
    const observedTo = this.ends[2 * this.count - 1]!;
    return { finish: this.lastFinish, observationLength: observedTo === NOT_OBSERVED ? undefined : observedTo - this.ends[2 * this.count - 2]! };
  }

  /** Packed u32, as in the events. */
  private append(more: Uint8Array): void {
    const used = this.used + wordCount(more);
    if (used > this.tokens.length) this.tokens = grown(this.tokens, used);
    unpackInto(this.tokens, this.used, more);
    this.used = used;
  }

  private cutTo(used: number): void {
    if (used === this.used) return;
    // Somebody may hold a view on what is cut off.
    this.tokens = this.tokens.slice();
    this.used = used;
  }
}

/** By half, so that what an episode has outgrown is never more than twice what it holds. */
function grown(array: Uint32Array<ArrayBuffer>, needed: number): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(Math.max(needed, array.length + (array.length >> 1)));
  more.set(array);
  return more;
}

export const runningFold: Fold<RunningEpisode> = {
  initial: () => new RunningEpisode(),
  evolve(episode, payload) {
    takeFact(episode, payload);
    return episode;
  },
};

/** The facts that count are those that count for evolveEpisode; scores come after the end and are none of a worker's. */
export function takeFact(episode: RunningEpisode, payload: Payload): void {
  if (isEnded(episode)) return;
  switch (payload.$case) {
    case 'attemptStarted':
      if (payload.value.attempt === episode.attempts + 1) episode.start(payload.value.attempt, payload.value.promptTokens);
      return;
    case 'turnSampled': {
      const { attempt, turn, tokens, finish } = payload.value;
      if (attempt === episode.attempts && turn === episode.turns.length) episode.sampled(tokens, finish);
      return;
    }
    case 'observationRecorded': {
      const { attempt, turn, tokens } = payload.value;
      if (attempt === episode.attempts && turn >= 0 && turn === episode.turns.length - 1) episode.observed(tokens);
      return;
    }
    case 'attemptAborted':
      if (payload.value.attempt === episode.attempts && episode.aborted.length < episode.attempts) episode.aborted.push(payload.value.reason);
      return;
    case 'episodeEnded':
      episode.status = endStatus(payload.value.status);
      return;
    default:
  }
}
