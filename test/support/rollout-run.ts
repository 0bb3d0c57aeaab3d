/** A run with one requested round, ready to be rolled out: real log, real environments, a sampler without a model. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { DOMAINS } from '../../core/environment.js';
import { episodeFold, type EpisodeState } from '../../core/episode/episode.js';
import { episodeStream, stageStream } from '../../core/log/keys.js';
import type { EventLog, RunLogs } from '../../core/ports.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import { stageFold } from '../../core/stage/stage.js';
import { createEnvironments, type Environments } from '../../environments/registry.js';
import type { BlobRef, EpisodeRequest } from '../../proto/gen/stemma/v1/events.js';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { createRolloutMetrics } from '../../services/rollout/metrics.js';
import { createRolloutActivities, type RolloutContext, type RolloutDeps } from '../../services/rollout/rollout-shard.js';
import type { Chat } from '../../services/runtime/chat.js';
import { claimStream } from '../../services/runtime/claimed-stream.js';
import { loadRecipe } from '../../services/runtime/recipe-schema.js';
import { readFold } from '../../services/runtime/record-fact.js';
import { deriveSeed } from '../../services/runtime/seed.js';
import type { Shard } from '../../workflows/activities.js';
import { expertSampler, type ExpertSampler } from './expert-sampler.js';
import { wordChat } from './word-chat.js';

export const STAGE = 'rl-test';

export interface RolloutBench {
  readonly directory: string;
  readonly recipe: Recipe;
  readonly environments: Environments;
  readonly chat: Chat;
  readonly sampler: ExpertSampler;
  readonly logs: RunLogs;
  readonly registry: Registry;
  readonly episodes: readonly EpisodeRequest[];
  readonly warnings: string[];
  /** A new run whose stage has requested `episodes`. */
  newRun(name: string, request?: { weights?: BlobRef; weightsHash?: string; greedy?: boolean }): Promise<EventLog>;
  activities(change?: Partial<RolloutDeps>, context?: Partial<RolloutContext>): ReturnType<typeof createRolloutActivities>;
  shard(run: string): Shard;
  state(run: string, episode: string): Promise<EpisodeState>;
  states(run: string): Promise<EpisodeState[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function openRolloutBench(episodesPerDomain: number): Promise<RolloutBench> {
  const directory = await mkdtemp(join(tmpdir(), 'stemma-rollout-'));
  const logs = await openEmbeddedLogs(directory);
  const recipe = await loadRecipe('tiny');
  const environments = createEnvironments(recipe.environments);
  const chat = wordChat(environments);
  const episodes = DOMAINS.flatMap((domain) => Array.from({ length: episodesPerDomain }, (_, index): EpisodeRequest => ({
    episode: `${domain}.${index}`, domain, task: environments[domain].taskId('train', index, ''), sample: 0, seed: deriveSeed([11, domain, index]),
  })));
  const sampler = expertSampler(chat, episodes.map(({ domain, task }) => ({ environment: environments[domain as 'search'], task })));
  const registry = new Registry();
  const metrics = createRolloutMetrics(registry);
  const warnings: string[] = [];
  const bench: RolloutBench = {
    directory, recipe, environments, chat, sampler, logs, registry, episodes, warnings,
    async newRun(run, { weights, weightsHash = 'w', greedy = false } = {}) {
      const log = await logs.open(run, 'write');
      const stage = await claimStream(log, { stream: stageStream(run, STAGE), role: 'planner', holder: 'test', run }, stageFold);
      await stage.record({ $case: 'episodesRequested', value: {
        step: 1, round: 0, purpose: 'train', weightsHash, weights, greedy, temperature: 1, protocol: '', episodes: [...episodes],
      } });
      return log;
    },
    activities: (change, context) => createRolloutActivities({
      contexts: { get: async (run) => ({ recipe, environments, chat, log: await logs.open(run, 'write'), ...context }) },
      sampler, metrics, holder: 'test', heartbeat: () => undefined, cancellation: () => new AbortController().signal, samplerPatienceMs: 2000,
      logger: { warn: (_fields, message) => warnings.push(message) },
      ...change,
    }),
    shard: (run) => ({ run, stage: STAGE, step: 1, round: 0, from: 0, to: episodes.length }),
    state: async (run, episode) => (await readFold(await logs.open(run, 'write'), episodeStream(run, episode), episodeFold)).state,
    states: (run) => Promise.all(episodes.map(({ episode }) => bench.state(run, episode))),
    async [Symbol.asyncDispose]() {
      await logs.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return bench;
}
