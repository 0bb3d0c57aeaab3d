/** One turn of an episode, as its two events recorded it. */
import type { ObservationRecorded, SampledSpan, TurnSampled } from '../../proto/gen/stemma/v1/events.js';
import type { ActionRecord } from '../environment.js';
import { unpackF32, unpackU32 } from '../log/bytes.js';

const WORD_BYTES = 4;

export function spansOf(turn: Pick<TurnSampled, 'tokens' | 'weightsHash' | 'changedWeights'>): readonly SampledSpan[] {
  return turn.changedWeights?.spans ?? [{ weightsHash: turn.weightsHash, tokens: turn.tokens.length / WORD_BYTES }];
}

/** What a turn says of its weights and cannot be; undefined if it can. */
export function spanProblem(turn: Pick<TurnSampled, 'tokens' | 'weightsHash' | 'changedWeights'>): string | undefined {
  const { changedWeights: changed } = turn;
  if (changed === undefined) return undefined;
  const { spans, kvCache } = changed;
  const covered = spans.reduce((sum, { tokens }) => sum + tokens, 0);
  if (covered !== turn.tokens.length / WORD_BYTES) return `its spans of weights cover ${covered} of its ${turn.tokens.length / WORD_BYTES} tokens`;
  if (spans.length < 2 || spans.some(({ tokens }) => tokens === 0)) return 'a span of weights has no tokens, or there is only one';
  if (spans.some(({ weightsHash }, at) => weightsHash === spans[at - 1]?.weightsHash)) return 'two spans that follow each other have the same weights';
  if (spans[0]?.weightsHash !== turn.weightsHash) return 'its weights are not those of its first span';
  return kvCache === 'recomputed' ? undefined : `its KV cache was '${kvCache}'`;
}

/**
 * Numbers and record are unpacked when asked for, each time: few folds ask, it would be most of what a fold costs, and kept it
 * would be a third of what an episode in flight holds. CORRUPT then, if they were cut.
 */
export class RecordedTurn {
  constructor(private readonly sampled: TurnSampled, private readonly observed?: ObservationRecorded) {}

  /** The same turn with what the environment answered. */
  acted(observed: ObservationRecorded): RecordedTurn {
    return new RecordedTurn(this.sampled, observed);
  }

  /** Sampled ids, end-of-turn included. */
  get tokens(): Uint32Array {
    return unpackU32(this.sampled.tokens);
  }

  /** Of `tokens`. */
  get length(): number {
    return this.sampled.tokens.length / WORD_BYTES;
  }

  /** Raw temperature-1 log-probabilities, one a token. */
  get logprobs(): Float32Array {
    return unpackF32(this.sampled.logprobs);
  }

  /** Who sampled which of its tokens, in order; one where weights did not change inside it. */
  get spans(): readonly SampledSpan[] {
    return spansOf(this.sampled);
  }

  get finish(): 'stop' | 'length' {
    return this.sampled.finish === 'stop' ? 'stop' : 'length';
  }

  /** Absent until the environment answered; empty when the episode was over with this turn. */
  get observationTokens(): Uint32Array | undefined {
    return this.observed && unpackU32(this.observed.tokens);
  }

  /** Of `observationTokens`. */
  get observationLength(): number | undefined {
    return this.observed && this.observed.tokens.length / WORD_BYTES;
  }

  get record(): ActionRecord | undefined {
    if (this.observed === undefined || this.observed.recordJson === '') return undefined;
    return JSON.parse(this.observed.recordJson) as ActionRecord;
  }
}
