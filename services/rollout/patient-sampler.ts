/**
 * Sampling that survives a restart of the sampler: it waits for the process to come back, and loads the weights
 * again when it comes back without them. Many episodes share one load.
 */
import { StemmaError } from '../../core/errors.js';
import type { SampleInput, Sampled, Sampler, StopSignal } from '../../core/ports.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { retryUnavailable } from '../runtime/grpc.js';

/** A cache that evicts what was just loaded would otherwise turn forever. */
const LOADS_PER_SAMPLE = 3;

export interface PatientSampler {
  /** WEIGHTS_NOT_LOADED only where no blob names them; UNAVAILABLE or TIMEOUT when patience ended. `blob`: of the weights asked for; by default the sampler's own. */
  sample(input: SampleInput, blob?: BlobRef, interrupt?: StopSignal): Promise<Sampled>;
}

export interface Patience {
  readonly withinMs: number;
  readonly onRetry: (error: StemmaError) => void;
}

export function patientSampler(sampler: Sampler, weights: BlobRef | undefined, patience: Patience): PatientSampler {
  const loading = new Map<string, Promise<void>>();
  const load = (weightsHash: string, blob: BlobRef): Promise<void> => {
    const inFlight = loading.get(weightsHash) ?? sampler.loadWeights(weightsHash, blob).finally(() => loading.delete(weightsHash));
    loading.set(weightsHash, inFlight);
    return inFlight;
  };
  const sampleLoading = async (input: SampleInput, blob: BlobRef | undefined, interrupt: StopSignal | undefined): Promise<Sampled> => {
    for (let loads = 0; ; loads++) {
      try {
        return await sampler.sample(input, interrupt);
      } catch (error) {
        if (!isWeightsMissing(error) || blob === undefined || loads === LOADS_PER_SAMPLE) throw error;
        await load(input.weightsHash, blob);
      }
    }
  };
  return { sample: (input, blob = weights, interrupt = undefined) => retryUnavailable(() => sampleLoading(input, blob, interrupt), patience) };
}

export function isWeightsMissing(error: unknown): boolean {
  return error instanceof StemmaError && error.code === 'WEIGHTS_NOT_LOADED';
}
