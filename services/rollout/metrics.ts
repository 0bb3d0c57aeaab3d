/** What a rollout worker counts. Learning figures are folded from the log instead: these restart at zero with the process. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface RolloutMetrics {
  sampled(domain: string, tokens: number, seconds: number): void;
  acted(domain: string, seconds: number): void;
  aborted(domain: string): void;
  ended(domain: string, status: string): void;
  running(change: 1 | -1): void;
  /** Seconds tools took since the process started, summed over episodes. */
  toolSecondsTotal(): number;
}

const LATENCY_SECONDS = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300];

export function createRolloutMetrics(registry: Registry): RolloutMetrics {
  const registers = [registry];
  const episodes = new Counter({ name: 'stemma_rollout_episodes_total', help: 'Episodes ended.', labelNames: ['domain', 'status'], registers });
  const turns = new Counter({ name: 'stemma_rollout_turns_total', help: 'Turns sampled.', labelNames: ['domain'], registers });
  const tokens = new Counter({ name: 'stemma_rollout_tokens_total', help: 'Tokens sampled.', labelNames: ['domain'], registers });
  const aborts = new Counter({ name: 'stemma_rollout_aborted_attempts_total', help: 'Attempts the system interrupted.', labelNames: ['domain'], registers });
  const running = new Gauge({ name: 'stemma_rollout_running_episodes', help: 'Episodes running now.', registers });
  const sampleSeconds = new Histogram({ name: 'stemma_rollout_sample_seconds', help: 'Latency of one turn\'s sampling.', buckets: LATENCY_SECONDS, registers });
  const toolSeconds = new Histogram({ name: 'stemma_rollout_tool_seconds', help: 'Latency of one tool call.', labelNames: ['domain'], buckets: LATENCY_SECONDS, registers });
  let toolTotal = 0;
  return {
    sampled(domain, count, seconds) {
      turns.inc({ domain });
      tokens.inc({ domain }, count);
      sampleSeconds.observe(seconds);
    },
    acted(domain, seconds) {
      toolTotal += seconds;
      toolSeconds.observe({ domain }, seconds);
    },
    aborted: (domain) => aborts.inc({ domain }),
    ended: (domain, status) => episodes.inc({ domain, status }),
    running: (change) => running.inc(change),
    toolSecondsTotal: () => toolTotal,
  };
}
