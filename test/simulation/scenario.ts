/** The systems that are simulated, and what a schedule of each starts from. */
import type { RunInput } from '../../workflows/activities.js';
import type { MemoryBlobs } from './memory-blobs.js';
import type { MemoryStore } from './memory-logs.js';
import type { Expectation } from './oracle.js';

/** Rollouts ahead of the learner: as stale as the bound lets them be; staler and weighted; staler and dropped; with weights that change inside turns. */
export const AHEAD = ['asynchronous', 'weight', 'drop', 'inside-turn'] as const;
/** shards: asked for one by one. standing: beside their stage. fork: of a run that has ended. */
export const SCENARIOS = ['shards', 'standing', 'fork', ...AHEAD] as const;
export type Scenario = (typeof SCENARIOS)[number];

export function runsAhead(scenario: Scenario): scenario is (typeof AHEAD)[number] {
  return (AHEAD as readonly Scenario[]).includes(scenario);
}

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
