import { describe, expect, it } from 'vitest';
import { runViewFeed } from '../../../../core/projection/run-view.js';
import { createRegistry } from '../../../../services/runtime/metrics.js';
import { registerRunMetrics, type WatchedRun } from '../../../../services/runtime/run-metrics.js';
import { RUN, Story, ended, episode, finished, requested, stage, started, type Said } from '../../core/projection/story.js';

const RECIPE = { stages: [{ id: 'search-rl', steps: 5 }], teachers: { search: 'search-rl', tools: 'none' } } as unknown as NonNullable<WatchedRun['recipe']>;

function committed(step: number): Said {
  return { $case: 'stepCommitted', value: { step, batchId: `b${step}`, stats: [{ name: 'reward', sum: 1, count: 2 }], spent: { wallSeconds: 2, computeSeconds: 1, waitingSeconds: 0 } } };
}

const created: Said = { $case: 'runCreated', value: { run: 'r', recipe: 'micro', seed: 1n } };

async function pageOf(story: Story, ageSeconds = 3): Promise<string> {
  const feed = runViewFeed();
  feed.add(story.events);
  const registry = createRegistry({ processFigures: false });
  registerRunMetrics(registry, () => [{ view: feed.view(), recipe: RECIPE, ageSeconds }]);
  return registry.metrics();
}

const samples = (page: string): string[] => page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('where a run stands', () => {
  const running = (): Story => new Story().tell(RUN, created, started('search-rl', 'rl', 'base')).tell(stage('search-rl'), committed(1), committed(2),
    { $case: 'snapshotTaken', value: { step: 2, stateHash: 's', weightsHash: 'w' } }, committed(3), committed(4));

  it('says status, plan, teachers and what a crash would cost', async () => {
    const page = await pageOf(running());
    for (const line of [
      'stemma_run_status{run="r",status="running"} 1', 'stemma_run_status{run="r",status="failed"} 0', 'stemma_run_stage_running{run="r",stage="search-rl",kind="rl"} 1',
      'stemma_run_planned_steps{run="r",stage="search-rl"} 5', 'stemma_run_teacher{run="r",domain="tools",teacher="none"} 1', 'stemma_run_view_age_seconds{run="r"} 3',
      'stemma_run_unsaved_steps{run="r",stage="search-rl"} 2', 'stemma_run_unsaved_seconds{run="r",stage="search-rl"} 4',
    ]) expect(page).toContain(line);
  });

  it('a finished stage has nothing unsaved and runs until its evaluation is done', async () => {
    const evaluating = running().tell(RUN, finished('search-rl', 'w4', 4)).tell(stage('search-rl'), requested({ step: 4, purpose: 'evaluate', weightsHash: 'w4', episodes: ['e1', 'e2'] }));
    expect(await pageOf(evaluating)).toContain('stemma_run_stage_running{run="r",stage="search-rl",kind="rl"} 1');
    const done = evaluating.tell(RUN, { $case: 'evaluationFinished', value: { stage: 'search-rl', weightsHash: 'w4', accuracy: [{ domain: 'search', correct: 1, total: 2 }] } });
    const page = await pageOf(done);
    expect(page).toContain('stemma_run_stage_running{run="r",stage="search-rl",kind="rl"} 0');
    expect(page).toContain('stemma_run_unsaved_steps{run="r",stage="search-rl"} 0');
    expect(page).toContain('stemma_run_accuracy_ratio{run="r",stage="search-rl",domain="search"} 0.5');
  });

  it('a failed run says where it failed, and its read model has no age any more', async () => {
    const page = await pageOf(running().tell(RUN, { $case: 'runFailed', value: { code: 'INVALID', boundary: 'trainer', message: 'the gradient is not finite' } }));
    expect(page).toContain('stemma_run_failed{run="r",boundary="trainer",code="INVALID"} 1');
    expect(page).toContain('stemma_run_status{run="r",status="failed"} 1');
    expect(page).not.toContain('stemma_run_view_age_seconds{');
  });
});

describe('cardinality', () => {
  /** A stage of one step with so many episodes, every other one of another task. */
  const runOf = (episodes: number): Story => {
    const ids = Array.from({ length: episodes }, (_, index) => `search-rl.1.0.${index}.0`);
    const story = new Story().tell(RUN, created, started('search-rl', 'rl', 'base')).tell(stage('search-rl'), requested({ step: 1, purpose: 'train', weightsHash: 'w', episodes: ids }));
    for (const id of ids) story.tell(episode(id), ended('completed', 1));
    return story.tell(stage('search-rl'), committed(1));
  };

  it('10,000 episodes make as many series as 10', async () => {
    const [few, many] = await Promise.all([pageOf(runOf(10)), pageOf(runOf(10_000))]);
    expect(many).toContain('stemma_learning_episodes_total{run="r",stage="search-rl",status="completed"} 10000');
    expect(samples(many).length).toBe(samples(few).length);
    expect(samples(few).length).toBeGreaterThan(15);
    expect(many).not.toMatch(/search-rl\.1\.0|task-/);
  });
});
