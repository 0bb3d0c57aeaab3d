import { describe, expect, it } from 'vitest';
import { runViewFeed } from '../../../../core/projection/run-view.js';
import { registerLearningMetrics } from '../../../../services/runtime/learning-metrics.js';
import { createRegistry } from '../../../../services/runtime/metrics.js';
import { RUN, Story, stage, started } from '../../core/projection/story.js';
import type { Said } from '../../core/projection/story.js';

function committed(step: number, loss: number): Said {
  return { $case: 'stepCommitted', value: { step, batchId: `b${step}`, stats: [{ name: 'loss', sum: loss, count: 1 }], spent: { wallSeconds: 2, computeSeconds: 1.5, waitingSeconds: 0.25 } } };
}

describe('learning metrics', () => {
  it('are sums and counts of the log: duplicates and lost claims change nothing', async () => {
    const story = new Story()
      .tell(RUN, { $case: 'runCreated', value: { run: 'r', recipe: 'micro', seed: 1n } }, started('sft', 'sft', 'base'))
      .tell(stage('sft'), committed(1, 0.5), committed(2, -0.25));
    const feed = runViewFeed();
    feed.add(story.events);
    // Delivered again, and a zombie's step under a claim that is not current.
    feed.add(story.events.slice(-1));
    feed.add(new Story().write(stage('sft'), committed(3, 99), 'lost-claim').events.map((stored) => ({ ...stored, position: 50, event: { ...stored.event, id: 'zombie' } })));
    const registry = createRegistry({ processFigures: false });
    registerLearningMetrics(registry, () => [feed.view()]);
    for (let scrape = 0; scrape < 2; scrape += 1) {
      const text = await registry.metrics();
      expect(text).toContain('stemma_learning_figure_sum_folded{run="r",stage="sft",figure="loss"} 0.25');
      expect(text).toContain('stemma_learning_observations_total{run="r",stage="sft",figure="loss"} 2');
      expect(text).toContain('stemma_log_ignored_events_total{run="r",reason="zombie"} 1');
      expect(text).toContain('stemma_log_ignored_events_total{run="r",reason="duplicate"} 1');
      expect(text).toContain('stemma_learning_steps_total{run="r",stage="sft"} 2');
      expect(text).toContain('stemma_learning_step_seconds_total{run="r",stage="sft",spent="orchestration"} 0.5');
    }
  });
});
