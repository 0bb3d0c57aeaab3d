/** One turn of an episode, as its two events recorded it. */
import type { ObservationRecorded, TurnSampled } from '../../proto/gen/stemma/v1/events.js';
import type { ActionRecord } from '../environment.js';
import { unpackF32, unpackU32 } from '../log/bytes.js';

const WORD_BYTES = 4;

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

  get weightsHash(): string {
    return this.sampled.weightsHash;
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
