/**
 * Which weights a turn is sampled with: those of its request, or, in an asynchronous stage, the newest that the stage's stream names
 * when the turn begins. An episode in flight over a change of weights goes on with the new ones at its next turn.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { SampleInput, Sampled } from '../../core/ports.js';
import { turnPolicy, type NewestWeights, type PolicyRef } from '../../core/stage/staleness.js';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import { isWeightsMissing, type PatientSampler } from './patient-sampler.js';

const LOOK_EVERY_MS = 5;
/** A trainer serves its new weights a little before their step is committed; then the old ones are gone. */
const COMMIT_WITHIN_MS = 250;

export interface TurnSampler {
  sample(input: Omit<SampleInput, 'weightsHash'>): Promise<Sampled>;
}

export function sampleAsRequested(sampler: PatientSampler, { weightsHash }: EpisodesRequested): TurnSampler {
  return { sample: (input) => sampler.sample({ ...input, weightsHash }) };
}

export function sampleWithNewest(sampler: PatientSampler, round: EpisodesRequested, look: () => Promise<NewestWeights>): TurnSampler {
  const newest = async (): Promise<PolicyRef> => turnPolicy(round, await look());
  const newerThan = async ({ weightsHash }: PolicyRef): Promise<PolicyRef | undefined> => {
    for (const startedMs = performance.now(); performance.now() - startedMs < COMMIT_WITHIN_MS; await delay(LOOK_EVERY_MS)) {
      const now = await newest();
      if (now.weightsHash !== weightsHash) return now;
    }
    return undefined;
  };
  return {
    async sample(input) {
      for (let policy = await newest(); ;) {
        try {
          return await sampler.sample({ ...input, weightsHash: policy.weightsHash }, policy.weights);
        } catch (error) {
          const newer = isWeightsMissing(error) ? await newerThan(policy) : undefined;
          if (newer === undefined) throw error;
          policy = newer;
        }
      }
    },
  };
}
