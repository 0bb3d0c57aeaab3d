import type { DashboardSpec } from '../dashboard.js';
import { curves, figureMean, latency, numbers, perSecond, stageInTemporal } from '../panels.js';

export const rollouts: DashboardSpec = {
  name: 'rollouts', title: 'Rollouts', description: 'Episodes: how many, how fast, how they end.',
  panels: [
    numbers({ title: 'Running', description: 'Episodes that run now.', queries: [{ expr: 'sum(stemma_rollout_running_episodes)', legend: 'episodes' }] }),
    numbers({ title: 'Owed', description: 'Asked for and not ended.', queries: [{ expr: 'sum by (run) (stemma_learning_owed_episodes{run=~"$run"})', legend: '{{run}}' }] }),
    numbers({ title: 'In the sampler', description: 'Sequences in the continuous batch.', queries: [{ expr: 'sum(stemma_sidecar_active_slots)', legend: 'sequences' }] }),
    numbers({ title: 'Waiting for the sampler', description: 'Sequences that wait for a slot, jobs that wait for the compute thread.', queries: [{ expr: 'sum by (for) (stemma_sidecar_waiting)', legend: '{{for}}' }] }),
    curves({
      title: 'Episodes ended', description: 'A second, by status. failed: the system could not run it; it is never trained on.', stacked: true, unit: 'ops', min: 0,
      queries: [{ expr: perSecond('stemma_rollout_episodes_total', 'status'), legend: '{{status}}' }],
    }),
    curves({ title: 'Episodes of committed steps', description: 'By terminal status, folded from the log.', links: [stageInTemporal()], queries: [{ expr: 'stemma_learning_episodes_total{run=~"$run"}', legend: '{{stage}} {{status}}' }] }),
    curves({ title: 'Tokens sampled', description: 'A second, by domain.', unit: 'ops', min: 0, stacked: true, queries: [{ expr: perSecond('stemma_rollout_tokens_total', 'domain'), legend: '{{domain}}' }] }),
    curves({ title: 'Turns sampled', description: 'A second, by domain.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_rollout_turns_total', 'domain'), legend: '{{domain}}' }] }),
    curves({ title: 'Sampling of a turn', description: 'Latency, waiting included.', unit: 's', min: 0, queries: latency('stemma_rollout_sample_seconds') }),
    curves({ title: 'Tool calls', description: 'Latency by domain.', unit: 's', min: 0, queries: latency('stemma_rollout_tool_seconds', 'domain') }),
    curves({
      title: 'Interrupted attempts', description: 'Attempts that the system aborted and tries again, as a share of all that ended (StemmaAbortRate).', unit: 'percentunit', min: 0,
      queries: [{ expr: 'stemma:rollout_aborts:ratio10m', legend: '{{domain}}' }],
    }),
    curves({ title: 'Aborted attempts', description: 'A second, by domain.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_rollout_aborted_attempts_total', 'domain'), legend: '{{domain}}' }] }),
    curves({
      title: 'Failed episodes', description: 'Environment or verifier gave up, as a share of all that ended (StemmaVerifierFailing).', unit: 'percentunit', min: 0,
      queries: [{ expr: 'stemma:rollout_failed_episodes:ratio10m', legend: '{{domain}}' }],
    }),
    curves({ title: 'Truncated', description: 'Share of the training episodes cut by a budget.', unit: 'percentunit', min: 0, max: 1, links: [stageInTemporal()], queries: [{ expr: figureMean('truncated'), legend: '{{stage}}' }] }),
    curves({ title: 'Weights changed inside a turn', description: 'A second, in asynchronous stages that allow it; each computes the turn\'s context anew.', unit: 'ops', min: 0, nothing: 'none', queries: [{ expr: perSecond('stemma_rollout_weight_changes_total', 'domain'), legend: '{{domain}}' }] }),
    curves({ title: 'Sampler\'s tokens', description: 'Drawn by the sidecar a second, evaluation and data sets included.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_sidecar_sampled_tokens_total', 'instance'), legend: '{{instance}}' }] }),
  ],
};
