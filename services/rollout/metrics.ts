/** What a rollout worker counts. Learning figures are folded from the log instead: these restart at zero with the process. */
import type { Registry } from 'prom-client';
import { DOMAINS } from '../../core/environment.js';
import { counter, gauge, histogram } from '../runtime/metrics.js';

export interface RolloutMetrics {
  sampled(domain: string, tokens: number, seconds: number): void;
  /** Inside one turn. */
  changedWeights(domain: string, times: number): void;
  acted(domain: string, seconds: number): void;
  aborted(domain: string): void;
  ended(domain: string, status: string): void;
  running(change: 1 | -1): void;
}

export function createRolloutMetrics(registry: Registry): RolloutMetrics {
  const episodes = counter(registry, { name: 'stemma_rollout_episodes_total', help: 'Episodes ended.', labels: ['domain', 'status'] });
  const turns = counter(registry, { name: 'stemma_rollout_turns_total', help: 'Turns sampled.', labels: ['domain'] });
  const tokens = counter(registry, { name: 'stemma_rollout_tokens_total', help: 'Tokens sampled.', labels: ['domain'] });
  const changes = counter(registry, { name: 'stemma_rollout_weight_changes_total', help: 'Changes of weights inside a turn; each computes the turn\'s context anew.', labels: ['domain'] });
  const aborts = counter(registry, { name: 'stemma_rollout_aborted_attempts_total', help: 'Attempts the system interrupted.', labels: ['domain'] });
  const running = gauge(registry, { name: 'stemma_rollout_running_episodes', help: 'Episodes running now.' });
  const sampleSeconds = histogram(registry, { name: 'stemma_rollout_sample_seconds', help: 'Latency of the sampling of one turn.' });
  const toolSeconds = histogram(registry, { name: 'stemma_rollout_tool_seconds', help: 'Latency of one tool call.', labels: ['domain'] });
  // From zero on, so that the first of each is an increase too.
  for (const domain of DOMAINS) {
    aborts.inc({ domain }, 0);
    for (const status of ['completed', 'truncated', 'failed']) episodes.inc({ domain, status }, 0);
  }
  return {
    sampled(domain, count, seconds) {
      turns.inc({ domain });
      tokens.inc({ domain }, count);
      sampleSeconds.observe(seconds);
    },
    changedWeights: (domain, times) => changes.inc({ domain }, times),
    acted(domain, seconds) {
      toolSeconds.observe({ domain }, seconds);
    },
    aborted: (domain) => aborts.inc({ domain }),
    ended: (domain, status) => episodes.inc({ domain, status }),
    running: (change) => running.inc(change),
  };
}
