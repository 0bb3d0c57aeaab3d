import { describe, expect, it } from 'vitest';
import { amendedRecipe, amendmentProblem, stageAt } from '../../../../core/run/amend.js';
import type { SettingAmended } from '../../../../proto/gen/stemma/v1/events.js';
import { loadRecipe } from '../../../../services/runtime/recipe-schema.js';

const recipe = await loadRecipe('micro');
const distill = recipe.stages.find((stage) => stage.id === 'distill')!;
const amendment = (fromStep: number, path: string, value: unknown, stage = 'distill'): SettingAmended =>
  ({ updateId: `${fromStep}/${path}`, by: 'test', origin: '', stage, fromStep, path, valueJson: JSON.stringify(value) });

describe('amended settings', () => {
  it('hold from their step on; the last in stream order wins; other stages are left alone', () => {
    const amendments = [amendment(2, 'optimizer.learningRate', 0.5), amendment(3, 'optimizer.learningRate', 0.25), amendment(1, 'promptsPerDomain', 9, 'sft')];
    expect(stageAt(distill, 1, amendments)).toEqual(distill);
    expect(stageAt(distill, 2, amendments).optimizer.learningRate).toBe(0.5);
    expect(stageAt(distill, 7, amendments).optimizer.learningRate).toBe(0.25);
    expect(stageAt(distill, 7, amendments).optimizer.beta1).toBe(distill.optimizer.beta1);
  });

  it('are refused where they cannot hold', () => {
    expect(amendmentProblem(undefined, 'x', 1)).toMatch(/no such stage/);
    for (const path of ['steps', 'kind', 'evaluate', 'init']) expect(amendmentProblem(distill, path, 1)).toMatch(/fixed/);
    expect(amendmentProblem(distill, 'optimizer.surprise', 1)).toMatch(/no setting/);
    expect(amendmentProblem(distill, 'optimizer.learningRate', '1')).toMatch(/number, not a string/);
    expect(amendmentProblem(distill, 'optimizer.learningRate', 1e-4)).toBeUndefined();
  });

  it('make a recipe that the rules of recipes can judge', () => {
    const changed = amendedRecipe(recipe, 'distill', 'optimizer.learningRate', 0.125) as typeof recipe;
    expect(changed.stages.find((stage) => stage.id === 'distill')?.optimizer.learningRate).toBe(0.125);
    expect(changed.stages.filter((stage) => stage.id !== 'distill')).toEqual(recipe.stages.filter((stage) => stage.id !== 'distill'));
  });
});
