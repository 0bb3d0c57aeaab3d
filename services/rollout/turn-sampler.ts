/**
 * Which weights a turn is sampled with: those of its request, or, in an asynchronous stage, the newest that the stage's stream names
 * when the turn begins. An episode in flight over a change of weights goes on with the new ones at its next turn or, inside-turn, at its
 * next token: the part drawn so far is taken, and the rest is asked of the new weights with that part in the prefix.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Sampled, StopSignal } from '../../core/ports.js';
import type { Asynchrony } from '../../core/recipe/recipe.js';
import { turnPolicy, type NewestWeights, type PolicyRef } from '../../core/stage/staleness.js';
import type { EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import { NewerWeights } from './newer-weights.js';
import { isWeightsMissing, type PatientSampler } from './patient-sampler.js';
import { joined, restOf, type SampledTurn, type TurnInput } from './turn-parts.js';

const LOOK_EVERY_MS = 5;
/** A trainer serves its new weights a little before their step is committed; then the old ones are gone. */
const COMMIT_WITHIN_MS = 250;

export interface TurnSampler {
  sample(input: TurnInput): Promise<SampledTurn>;
}

export function sampleAsRequested(sampler: PatientSampler, { weightsHash }: EpisodesRequested): TurnSampler {
  return { sample: async (input) => joined([await sampler.sample({ ...input, weightsHash })]) };
}

export interface Newest {
  readonly look: () => Promise<NewestWeights>;
  readonly inFlight: Asynchrony['inFlight'];
}

export function sampleWithNewest(sampler: PatientSampler, round: EpisodesRequested, { look, inFlight }: Newest): TurnSampler {
  const newest = async (): Promise<PolicyRef> => turnPolicy(round, await look());
  const newer = new NewerWeights(newest);
  const part = ({ weightsHash, weights }: PolicyRef, input: TurnInput): Promise<Sampled> => {
    const sample = (interrupt?: StopSignal): Promise<Sampled> => sampler.sample({ ...input, weightsHash }, weights, interrupt);
    return inFlight === 'inside-turn' ? newer.during(weightsHash, sample) : sample();
  };
  return {
    async sample(input) {
      const parts: Sampled[] = [];
      do {
        const rest = restOf(input, parts);
        parts.push(await withPresentWeights(newest, (policy) => part(policy, rest)));
      } while (parts.at(-1)?.finish === 'interrupted');
      return joined(parts);
    },
  };
}

/** With the newest weights; with newer ones where the sampler no longer has those. */
async function withPresentWeights(newest: () => Promise<PolicyRef>, sample: (policy: PolicyRef) => Promise<Sampled>): Promise<Sampled> {
  for (let policy = await newest(); ;) {
    try {
      return await sample(policy);
    } catch (error) {
      const newer = isWeightsMissing(error) ? await newerThan(policy, newest) : undefined;
      if (newer === undefined) throw error;
      policy = newer;
    }
  }
}

async function newerThan({ weightsHash }: PolicyRef, newest: () => Promise<PolicyRef>): Promise<PolicyRef | undefined> {
  for (const startedMs = performance.now(); performance.now() - startedMs < COMMIT_WITHIN_MS; await delay(LOOK_EVERY_MS)) {
    const now = await newest();
    if (now.weightsHash !== weightsHash) return now;
  }
  return undefined;
}
