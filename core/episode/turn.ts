/** One turn of an episode, as its two events recorded it. */
import type { ObservationRecorded, TurnSampled } from '../../proto/gen/stemma/v1/events.js';
import type { ActionRecord } from '../environment.js';
import { unpackF32, unpackU32 } from '../log/bytes.js';

/** Numbers and record are unpacked when first asked for: few folds ask, and it would be most of what a fold costs. CORRUPT then, if they were cut. */
export class RecordedTurn {
  private unpackedTokens: Uint32Array | undefined;
  private unpackedLogprobs: Float32Array | undefined;
  private unpackedObservation: Uint32Array | undefined;
  private parsedRecord: ActionRecord | undefined;

  constructor(private readonly sampled: TurnSampled, private readonly observed?: ObservationRecorded) {}

  /** The same turn with what the environment answered. */
  acted(observed: ObservationRecorded): RecordedTurn {
    const acted = new RecordedTurn(this.sampled, observed);
    acted.unpackedTokens = this.unpackedTokens;
    acted.unpackedLogprobs = this.unpackedLogprobs;
    return acted;
  }

  /** Sampled ids, end-of-turn included. */
  get tokens(): Uint32Array {
    return (this.unpackedTokens ??= unpackU32(this.sampled.tokens));
  }

  /** Raw temperature-1 log-probabilities, one a token. */
  get logprobs(): Float32Array {
    return (this.unpackedLogprobs ??= unpackF32(this.sampled.logprobs));
  }

  get weightsHash(): string {
    return this.sampled.weightsHash;
  }

  get finish(): 'stop' | 'length' {
    return this.sampled.finish === 'stop' ? 'stop' : 'length';
  }

  /** Absent until the environment answered; empty when the episode was over with this turn. */
  get observationTokens(): Uint32Array | undefined {
    if (this.observed === undefined) return undefined;
    return (this.unpackedObservation ??= unpackU32(this.observed.tokens));
  }

  get record(): ActionRecord | undefined {
    if (this.observed === undefined || this.observed.recordJson === '') return undefined;
    return (this.parsedRecord ??= JSON.parse(this.observed.recordJson) as ActionRecord);
  }
}
