/**
 * Learning figures as metrics. They are folded from the log at each scrape, never counted on the way:
 * a restart neither loses nor doubles a step, and events of lost claims do not count.
 * A mean over a window is rate(sum)/rate(count) in the reader's hands, so only sums and counts are exported.
 */
import type { Counter, Gauge, Registry } from 'prom-client';
import { curvesOf } from '../../core/projection/curves.js';
import type { StageCurves } from '../../core/projection/curves.js';
import { episodeCounts } from '../../core/projection/episode-counts.js';
import type { RunView } from '../../core/projection/run-view.js';
import { counter, gauge } from './metrics.js';

type StageLabel = 'run' | 'stage';

interface Instruments {
  readonly figure: Gauge<StageLabel | 'figure'>;
  readonly observations: Counter<StageLabel | 'figure'>;
  readonly steps: Counter<StageLabel>;
  readonly episodes: Counter<StageLabel | 'status'>;
  readonly seconds: Counter<StageLabel | 'spent'>;
  readonly owed: Gauge<StageLabel>;
  readonly ignored: Counter<'run' | 'reason'>;
}

/** Sampled with the weights that the step starts from, unless a step says otherwise. */
const STALENESS = 'staleness';

/** Registers the figures of the runs that `views` yields at each scrape. Whatever figure a step records is exported under its own name. */
export function registerLearningMetrics(registry: Registry, views: () => Iterable<RunView>): void {
  const stage = ['run', 'stage'] as const;
  const instruments: Instruments = {
    // A gauge, since sums of rewards and of log-probabilities may fall. First, because a scrape reads in the order
    // of registration and this one's collect fills the others: one fold a scrape.
    figure: gauge(registry, {
      name: 'stemma_learning_figure_sum_folded',
      help: 'Sum over committed steps of a learning figure (loss, reward, kl, entropy, coverage, staleness, …).',
      labels: [...stage, 'figure'],
      collect: () => fill(instruments, views()),
    }),
    observations: counter(registry, { name: 'stemma_learning_observations_total', help: 'Observations behind stemma_learning_figure_sum_folded.', labels: [...stage, 'figure'] }),
    steps: counter(registry, { name: 'stemma_learning_steps_total', help: 'Committed optimizer steps.', labels: stage }),
    episodes: counter(registry, { name: 'stemma_learning_episodes_total', help: 'Training episodes of committed steps by terminal status.', labels: [...stage, 'status'] }),
    seconds: counter(registry, { name: 'stemma_learning_step_seconds_total', help: 'Wall seconds of committed steps by what they were spent on.', labels: [...stage, 'spent'] }),
    owed: gauge(registry, { name: 'stemma_learning_owed_episodes', help: 'Episodes that were asked for and have not ended: the queue of the rollouts.', labels: stage }),
    ignored: counter(registry, { name: 'stemma_log_ignored_events_total', help: 'Events in the log that a fold ignored: of a lost claim (zombie), or there twice (duplicate).', labels: ['run', 'reason'] }),
  };
}

function fill(instruments: Instruments, views: Iterable<RunView>): void {
  for (const instrument of Object.values(instruments) as { reset(): void }[]) instrument.reset();
  for (const view of views) {
    const run = view.run.created?.run ?? '';
    for (const curves of curvesOf(view)) fillStage(instruments, { run, stage: curves.stage }, curves);
    for (const [stage, { requested }] of view.stages) instruments.owed.set({ run, stage }, episodeCounts(view, stage, requested).owed);
    instruments.ignored.inc({ run, reason: 'zombie' }, view.ignored.zombies);
    instruments.ignored.inc({ run, reason: 'duplicate' }, view.ignored.duplicates);
  }
}

function fillStage(instruments: Instruments, labels: { run: string; stage: string }, curves: StageCurves): void {
  for (const step of curves.steps) {
    instruments.steps.inc(labels);
    for (const [figure, { sum, count }] of step.stats) {
      instruments.figure.inc({ ...labels, figure }, sum);
      instruments.observations.inc({ ...labels, figure }, count);
    }
    const trained = step.episodes.completed + step.episodes.truncated;
    if (trained > 0 && !step.stats.has(STALENESS)) {
      instruments.figure.inc({ ...labels, figure: STALENESS }, 0);
      instruments.observations.inc({ ...labels, figure: STALENESS }, trained);
    }
    for (const status of ['completed', 'truncated', 'failed'] as const) {
      instruments.episodes.inc({ ...labels, status }, step.episodes[status]);
    }
    const { wallSeconds, computeSeconds, waitingSeconds } = step.spent;
    instruments.seconds.inc({ ...labels, spent: 'compute' }, computeSeconds);
    instruments.seconds.inc({ ...labels, spent: 'waiting' }, waitingSeconds);
    instruments.seconds.inc({ ...labels, spent: 'orchestration' }, Math.max(0, wallSeconds - computeSeconds - waitingSeconds));
  }
}
