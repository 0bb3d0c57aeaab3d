import type { DashboardSpec } from '../dashboard.js';
import { curvesByStep, RUN_BY_STEP, runByStep } from '../by-step.js';
import { curves, figureMean, stageInTemporal, text, type PanelOf } from '../panels.js';

interface Figure {
  readonly figure: string;
  readonly title: string;
  readonly description: string;
  readonly unit?: string;
  readonly min?: number;
  readonly max?: number;
  /** The figure is kept by domain: `figure` is a pattern. */
  readonly byDomain?: boolean;
}

function figure({ figure: name, byDomain, ...shown }: Figure): PanelOf {
  return curves({
    ...shown, links: [stageInTemporal()],
    queries: [byDomain ? { expr: figureMean(name, 'run, stage, figure'), legend: '{{stage}} {{figure}}' } : { expr: figureMean(name), legend: '{{run}} {{stage}}' }],
  });
}

/** Means over the window from Prometheus, for any number of runs; below, one run by step and exact, from the gateway. */
export const learning: DashboardSpec = {
  name: 'learning', title: 'Learning', description: 'What the steps measured, as means over the window: folded from the log, so a restart neither loses nor doubles a step.',
  variables: [runByStep()],
  panels: [
    figure({ figure: 'loss', title: 'Loss', description: 'L = Σ w·ℓ of a step.' }),
    figure({ figure: 'reward', title: 'Reward', description: 'Mean over the training episodes, failed ones left out.' }),
    figure({ figure: 'reward_[a-z]+', byDomain: true, title: 'Reward by component', description: 'What the reward is the sum of, a training episode: a rising reward whose correct part stands still is a model that learns the form. Penalties are negative.' }),
    figure({ figure: 'correct', title: 'Correct', description: 'Share of the training episodes whose answer was right.', unit: 'percentunit', min: 0, max: 1 }),
    figure({ figure: 'coverage[.].+', byDomain: true, title: 'ρ by domain', description: 'Student mass on the teacher\'s top k tokens. It should rise; a fall is a student that leaves its teachers (StemmaRhoCollapse).', unit: 'percentunit', min: 0 }),
    figure({ figure: 'reward[.].+', byDomain: true, title: 'Reward by domain', description: 'In distillation, where one step holds several domains; it is measured there and not trained on.' }),
    figure({ figure: 'salient_vocabulary', title: 'SVA loss', description: 'Salient-vocabulary alignment, unweighted, a token.' }),
    figure({ figure: 'kl', title: 'KL to the reference', description: 'k3 estimate, nats a token. Tenths are far (StemmaKlExplosion).' }),
    figure({ figure: 'entropy', title: 'Entropy', description: 'Nats a token over the full vocabulary. Near zero in RL nothing is explored any more (StemmaEntropyCollapse).', min: 0 }),
    figure({ figure: 'gradient_norm', title: 'Gradient norm', description: 'Before clipping.', min: 0 }),
    figure({ figure: 'clip_fraction', title: 'Clip fraction', description: 'Policy tokens whose clipped branch is the larger.', unit: 'percentunit', min: 0 }),
    figure({ figure: 'logprob_gap', title: 'Trainer–sampler gap', description: '|log p − log p_old| a token. With the step\'s own weights it is rounding; more is a sampler with other weights or numerics.', min: 0 }),
    figure({ figure: 'ratio', title: 'Importance ratio', description: 'p / p_old a token: 1 in synchronous mode.' }),
    figure({ figure: 'staleness', title: 'Staleness', description: 'Steps between the weights that sampled an episode and those it trains: 0 in synchronous mode.', min: 0 }),
    figure({ figure: 'truncated', title: 'Truncated', description: 'Share of episodes cut by a token or turn budget.', unit: 'percentunit', min: 0, max: 1 }),
    figure({ figure: 'generated_tokens', title: 'Tokens an episode', description: 'Generated, without prompt and observations.', min: 0 }),
    curvesByStep({ title: 'Loss by step', description: 'L = Σ w·ℓ of each step, exact, as the run\'s report has it.', figures: ['loss'] }),
    curvesByStep({ title: 'Reward by step', description: 'Mean over each step\'s episodes; in distillation by domain too.', figures: ['reward'] }),
    curvesByStep({ title: 'ρ by step', description: 'Student mass on the teacher\'s top k tokens, each step, all domains and each.', figures: ['coverage'], unit: 'percentunit', min: 0 }),
    curvesByStep({ title: 'KL and entropy by step', description: 'Nats a token: k3 estimate to the reference; over the full vocabulary.', figures: ['kl', 'entropy'] }),
    curvesByStep({ title: 'Gradient norm by step', description: 'Before clipping.', figures: ['gradient_norm'], min: 0 }),
    curvesByStep({ title: 'Trainer–sampler gap by step', description: '|log p − log p_old| a token.', figures: ['logprob_gap'], min: 0 }),
    text('From here', [
      'By step, any other figure: the HTML report that quickstart and run write at their end, or a panel as those above (docs/observability.md) · a stage\'s workflow: the link on each series',
      '',
      `Which trajectories, teachers and prompts made these weights: \`npm run stemma -- lineage WEIGHTS --full --run $${RUN_BY_STEP}\` (WEIGHTS: in \`npm run stemma -- status $${RUN_BY_STEP}\`)`,
    ].join('\n'), 4),
  ],
};
