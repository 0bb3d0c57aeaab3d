import type { DashboardSpec } from '../dashboard.js';
import { bars, curves, figureMean, numbers, runInTemporal, stageInTemporal, text } from '../panels.js';

export const runs: DashboardSpec = {
  name: 'runs', title: 'Runs', description: 'Where each run stands, how long it still takes and how good it has become.',
  panels: [
    numbers({
      title: 'Status', description: 'submitted, running, paused, stopping, finished, failed or stopped; folded from the run\'s log.', names: true, links: [runInTemporal()],
      queries: [{ expr: 'stemma_run_status{run=~"$run"} == 1', legend: '{{run}}: {{status}}' }],
    }),
    numbers({
      title: 'Stage', description: 'Stages that run now, evaluation included.', names: true, links: [stageInTemporal()], nothing: 'none',
      queries: [{ expr: 'stemma_run_stage_running{run=~"$run"} == 1', legend: '{{stage}} ({{kind}})' }],
    }),
    numbers({
      title: 'Steps done', description: 'Committed steps of all that the recipe plans; a stage that finds nothing to learn takes fewer.', unit: 'percentunit', min: 0, max: 1,
      queries: [{ expr: 'sum by (run) (stemma_learning_steps_total{run=~"$run"}) / sum by (run) (stemma_run_planned_steps{run=~"$run"})', legend: '{{run}}' }],
    }),
    numbers({
      title: 'Left of the running stages', description: 'Steps that are left, each as long as the stage\'s mean. Evaluations are not in it.', unit: 's', nothing: 'no step yet',
      queries: [{ expr: 'stemma:run_stage:remaining_seconds{run=~"$run"}', legend: '{{stage}}' }],
    }),
    curves({
      title: 'Steps by stage', description: 'Committed optimizer steps. A flat line in a running stage is no progress: see the runbook of StemmaNoProgress.', width: 12, links: [stageInTemporal()],
      queries: [{ expr: 'stemma_learning_steps_total{run=~"$run"}', legend: '{{run}} {{stage}}' }],
    }),
    curves({
      title: 'Reward', description: 'Mean reward of the training episodes in the window, by stage.', width: 12, links: [stageInTemporal()],
      queries: [{ expr: figureMean('reward'), legend: '{{run}} {{stage}}' }],
    }),
    bars({
      title: 'Accuracy by domain', description: 'Greedy accuracy of each evaluated stage\'s result on held-out tasks.', unit: 'percentunit', min: 0, max: 1, width: 12, height: 12,
      queries: [{ expr: 'stemma_run_accuracy_ratio{run=~"$run"}', legend: '{{stage}} · {{domain}}' }],
    }),
    curves({
      title: 'Episodes owed', description: 'Asked for and not ended: falls while rollouts work. It stands still when they do not.', width: 12, height: 12, links: [stageInTemporal()],
      queries: [{ expr: 'stemma_learning_owed_episodes{run=~"$run"}', legend: '{{run}} {{stage}}' }],
    }),
    numbers({
      title: 'Failed runs', description: 'By the boundary and the code of the error; the message is in the run\'s status.', width: 12, height: 4, names: true, nothing: 'none', links: [runInTemporal()],
      queries: [{ expr: 'stemma_run_failed{run=~"$run"} == 1', legend: '{{run}}: {{boundary}} {{code}}' }],
    }),
    numbers({
      title: 'Alerts', description: 'Firing now; each has a page in docs/runbooks.', width: 12, height: 4, names: true, nothing: 'none',
      queries: [{ expr: 'ALERTS{alertname=~"Stemma.+", alertstate="firing"}', legend: '{{alertname}} {{run}} {{stage}}' }],
    }),
    text('From here', [
      'Status in full: `npm run stemma -- status $run` · pause, resume, stop, amend: the workflow `$run` in the Temporal UI, or `npm run stemma -- pause $run`',
      '',
      'Lineage of the weights a run ended in (status names them): `npm run stemma -- lineage WEIGHTS --run $run` · of an episode or a prompt: `npm run stemma -- lineage EPISODE --run $run`',
      '',
      'Are the weights what the log says? `npm run stemma -- replay $run` · is every episode accounted for? `npm run stemma -- verify $run`',
    ].join('\n')),
  ],
};
