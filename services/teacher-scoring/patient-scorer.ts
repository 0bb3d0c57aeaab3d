/**
 * Scoring that survives a restart of the scorer, and tells apart who is to blame: an outage or a full disk is the
 * system's and is thrown, a chunk the scorer refuses again and again is the episodes' and becomes a recorded failure.
 */
import { StemmaError } from '../../core/errors.js';
import type { ScoreInput, Scorer } from '../../core/ports.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { retryUnavailable } from '../runtime/grpc.js';

/** A cache that evicts what was just loaded would otherwise turn forever. */
const LOADS_PER_SCORE = 3;
const TRIES = 3;

export interface Patience {
  readonly withinMs: number;
  readonly onRetry: (error: StemmaError) => void;
}

/** The scores, or why this input cannot be scored. Rejects where trying later, or a person, can help. */
export async function scorePatiently(
  scorer: Scorer, input: ScoreInput, { weights, patience }: { weights: BlobRef | undefined; patience: Patience },
): Promise<{ readonly scores: BlobRef } | { readonly refusal: string }> {
  for (let tries = 1; ; tries++) {
    try {
      return { scores: await retryUnavailable(() => scoreLoading(scorer, input, weights), patience) };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (tries === TRIES) return { refusal: error.message };
    }
  }
}

function isRefusal(error: unknown): error is StemmaError {
  return error instanceof StemmaError && (error.code === 'INVALID' || error.code === 'EXHAUSTED');
}

async function scoreLoading(scorer: Scorer, input: ScoreInput, weights: BlobRef | undefined): Promise<BlobRef> {
  for (let loads = 0; ; loads++) {
    try {
      return await scorer.score(input);
    } catch (error) {
      const missing = error instanceof StemmaError && error.code === 'WEIGHTS_NOT_LOADED';
      if (!missing || weights === undefined || loads === LOADS_PER_SCORE) throw error;
      await scorer.loadWeights(input.weightsHash, weights);
    }
  }
}
