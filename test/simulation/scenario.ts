/** The systems that are simulated, and what a schedule of each starts from. */
import type { RunInput } from '../../workflows/activities.js';
import type { MemoryBlobs } from './memory-blobs.js';
import type { MemoryStore } from './memory-logs.js';
import type { Expectation } from './oracle.js';

/** shards: asked for one by one. standing: beside their stage. asynchronous: ahead of the learner. fork: of a run that has ended. */
export const SCENARIOS = ['shards', 'standing', 'asynchronous', 'fork'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface Genesis {
  readonly scenario: Scenario;
  readonly run: string;
  readonly input: RunInput;
  readonly stores: ReadonlyMap<string, MemoryStore>;
  readonly blobs: MemoryBlobs;
  readonly expected: Expectation;
  /** Steps of the undisturbed run. */
  readonly span: number;
}

export type Geneses = { readonly [scenario in Scenario]: Genesis };
