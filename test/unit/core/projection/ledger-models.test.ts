/** The audit of stale episodes: a bound, and drops that must be true and made good. */
import { describe, expect, it } from 'vitest';
import { modelFindings } from '../../../../core/projection/ledger-models.js';
import { runViewOf } from '../../../../core/projection/run-view.js';
import type { Asynchrony, RlStageRecipe } from '../../../../core/recipe/recipe.js';
import { loadRecipe } from '../../../../services/runtime/recipe-schema.js';
import { closed, committed, dropped, ended, episode, requested, RUN, stage, started, Story } from './story.js';

const recipe = await loadRecipe('micro');
const rl = recipe.stages.find(({ kind }) => kind === 'rl') as RlStageRecipe;
const dropping: Asynchrony = { maxStaleness: 0, ahead: 1, onStale: 'drop', inFlight: 'between-turns' };

interface Changed {
  readonly asynchronous?: Asynchrony | undefined;
  /** That sampled the episode which is dropped. */
  readonly sampler?: string;
  readonly askAgain?: boolean;
  readonly members?: readonly string[];
}

/** Step 2's first round was asked for ahead: a0 was sampled by the weights before step 1, a1 by those after. */
function findings({ asynchronous = dropping, sampler = 'w0', askAgain = true, members = ['a1', 'b0'] }: Changed): string[] {
  const story = new Story();
  const ran = (id: string, weightsHash: string) => story.tell(episode(id), { $case: 'attemptStarted', value: { attempt: 1 } },
    { $case: 'turnSampled', value: { attempt: 1, tokens: new Uint8Array(8), weightsHash } }, ended('completed', 1));
  story.tell(RUN, { $case: 'runCreated', value: { run: 'r' } }, started('ahead', 'rl', 'w0'));
  story.tell(stage('ahead'), closed(1, []), committed({ step: 1, parent: 'w0', hash: 'w1' }),
    requested({ step: 2, purpose: 'train', weightsHash: 'w0', episodes: ['a0', 'a1'] }));
  ran('a0', sampler);
  ran('a1', 'w1');
  story.tell(stage('ahead'), dropped('a0', 'stale'));
  if (askAgain) story.tell(stage('ahead'), requested({ step: 2, round: 1, purpose: 'train', weightsHash: 'w1', episodes: ['b0'] }));
  ran('b0', 'w1');
  const batch = closed(2, members);
  if (batch?.$case === 'batchClosed') batch.value!.policyWeightsHashes = ['w0', 'w1'];
  story.tell(stage('ahead'), batch, committed({ step: 2, parent: 'w1', hash: 'w2' }));
  const audited = { recipe: { ...recipe, stages: [{ ...rl, id: 'ahead', init: 'base', klCoefficient: 0, asynchronous }] }, baseWeightsHash: 'w0' };
  return modelFindings(runViewOf(story.events), audited).map(({ event, what }) => `${event}: ${what}`);
}

describe('weights that changed inside a turn', () => {
  const inside: Asynchrony = { maxStaleness: 1, onStale: 'wait', inFlight: 'inside-turn' };
  function changed(spans: readonly string[], asynchronous: Asynchrony): string[] {
    const story = new Story();
    story.tell(RUN, { $case: 'runCreated', value: { run: 'r' } }, started('ahead', 'rl', 'w0'));
    story.tell(stage('ahead'), closed(1, []), committed({ step: 1, parent: 'w0', hash: 'w1' }), requested({ step: 2, purpose: 'train', weightsHash: 'w0', episodes: ['a0'] }));
    story.tell(episode('a0'), { $case: 'attemptStarted', value: { attempt: 1 } }, { $case: 'turnSampled', value: {
      attempt: 1, tokens: new Uint8Array(8), weightsHash: spans[0]!, changedWeights: { spans: spans.map((weightsHash) => ({ weightsHash, tokens: 1 })), kvCache: 'recomputed' },
    } }, ended('completed', 1));
    const batch = closed(2, ['a0']);
    if (batch?.$case === 'batchClosed') batch.value!.policyWeightsHashes = ['w0', 'w1'];
    story.tell(stage('ahead'), batch);
    const audited = { recipe: { ...recipe, stages: [{ ...rl, id: 'ahead', init: 'base', klCoefficient: 0, asynchronous }] }, baseWeightsHash: 'w0' };
    return modelFindings(runViewOf(story.events), audited).map(({ event, what }) => `${event}: ${what}`);
  }

  it('were newer ones, where the recipe lets them: nothing to find', () => {
    expect(changed(['w0', 'w1'], inside)).toEqual([]);
  });

  it('are found where they went back, where they may not change, and where a later span is of weights that the batch does not name', () => {
    expect(changed(['w1', 'w0'], inside)).toEqual([expect.stringMatching(/^turnSampled 1\/0: .*and not to newer ones$/)]);
    expect(changed(['w0', 'w1'], { ...inside, inFlight: 'between-turns' })).toEqual([expect.stringMatching(/^turnSampled 1\/0: .*does not allow$/)]);
    expect(changed(['w0', 'w9'], inside)).toEqual([
      expect.stringMatching(/^batchClosed 2: .*sampled by w9/), expect.stringMatching(/and not to newer ones$/),
    ]);
  });
});

describe('an episode dropped as stale', () => {
  it('was staler than allowed and its sample was asked for again: nothing to find', () => {
    expect(findings({})).toEqual([]);
  });

  it.each<[string, Changed, RegExp]>([
    ['was not', { sampler: 'w1' }, /^episodeDropped a0: .*yet it was 0 steps behind; 0 are allowed$/],
    ['is of a stage that drops none', { asynchronous: { ...dropping, onStale: 'weight' } }, /^episodeDropped a0: .*its recipe drops none$/],
    ['was never made good', { askAgain: false, members: ['a1'] }, /^episodeDropped a0: .*its prompt was not asked for again$/],
    ['is in the batch all the same', { members: ['a0', 'a1', 'b0'] }, /^batchClosed 2: episode a0 .*was sampled by weights 1 steps old; 0 are allowed$/],
  ])('is found where it %s', (_how, changed, expected) => {
    expect(findings(changed)).toEqual([expect.stringMatching(expected)]);
  });
});
