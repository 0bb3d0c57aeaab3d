/** Which settings differ from the recipe, and what to tell the run so that those that shall differ do. Pure. */
import type { Json } from '../../core/environment.js';
import type { Recipe, StageRecipe } from '../../core/recipe/recipe.js';
import { amendedRecipe, amendmentProblem, settingPath } from '../../core/run/amend.js';
import type { AppliedOverride, Override } from './training-run.js';

/** An override that was there when the recipe was frozen, with the recipe's own value, for when it is taken away. */
export interface BakedOverride {
  readonly stage: string;
  readonly path: string;
  readonly valueJson: string;
  readonly originalJson: string;
}

/** What the run's ConfigMap holds. */
export interface FrozenRecipe {
  /** With the overrides of its first day. */
  readonly recipe: Recipe;
  readonly text: string;
  readonly baked: readonly BakedOverride[];
}

export interface Amendment {
  readonly stage: string;
  /** As the spec has it. */
  readonly path: string;
  /** The whole path, as the run knows it. */
  readonly setting: string;
  readonly valueJson: string;
  /** false: the recipe's own value again. */
  readonly isOverride: boolean;
}

export interface Baked {
  /** Not checked yet: parse it. */
  readonly raw: unknown;
  readonly baked: readonly BakedOverride[];
  readonly problems: readonly string[];
}

/** The recipe with the overrides in it, to be parsed like any recipe; or why that cannot be, all problems at once. */
export function bakeOverrides(recipe: Recipe, overrides: readonly Override[]): Baked {
  const problems: string[] = [];
  const baked: BakedOverride[] = [];
  let raw: unknown = recipe;
  for (const { stage: stageId, path, value } of overrides) {
    const stage = recipe.stages.find(({ id }) => id === stageId);
    const full = stage ? settingPath(stage, path) : path;
    const problem = stage ? amendmentProblem(stage, full, value) : `there is no stage ${stageId}; there are ${recipe.stages.map(({ id }) => id).join(', ')}`;
    if (problem !== undefined) {
      problems.push(`overrides ${stageId} ${path}: ${problem}`);
      continue;
    }
    baked.push({ stage: stageId, path, valueJson: JSON.stringify(value), originalJson: JSON.stringify(valueAt(stage, full)) });
    raw = amendedRecipe(raw as Recipe, stageId, full, value);
  }
  return { raw, baked, problems };
}

/** What holds when the run begins. */
export function bakedInForce(baked: readonly BakedOverride[]): AppliedOverride[] {
  return baked.map(({ stage, path, valueJson }) => ({ stage, path, valueJson, fromStep: 1 }));
}

/** What to tell the run, in the order of the spec, so that `inForce` becomes what is wanted. */
export function amendments(frozen: FrozenRecipe, wanted: readonly Override[], inForce: readonly AppliedOverride[]): Amendment[] {
  const settingOf = (stageId: string, path: string): string => {
    const stage = frozen.recipe.stages.find(({ id }) => id === stageId);
    return stage ? settingPath(stage, path) : path;
  };
  const applied = new Map(inForce.map((each) => [keyOf(each), each.valueJson]));
  const changed = wanted.map(({ stage, path, value }) => ({ stage, path, setting: settingOf(stage, path), valueJson: JSON.stringify(value), isOverride: true }))
    .filter((each) => applied.get(keyOf(each)) !== each.valueJson);
  const kept = new Set(wanted.map(keyOf));
  const removed = inForce.filter((each) => !kept.has(keyOf(each)))
    .map(({ stage, path }) => ({ stage, path, setting: settingOf(stage, path), valueJson: originalJson(frozen, stage, path), isOverride: false }));
  return [...changed, ...removed];
}

/** After the run has taken it. */
export function withAmendment(inForce: readonly AppliedOverride[], { stage, path, valueJson, isOverride }: Amendment, fromStep: number): AppliedOverride[] {
  const others = inForce.filter((each) => keyOf(each) !== keyOf({ stage, path }));
  return isOverride ? [...others, { stage, path, valueJson, fromStep }] : others;
}

function originalJson({ recipe, baked }: FrozenRecipe, stageId: string, path: string): string {
  const known = baked.find((each) => each.stage === stageId && each.path === path);
  if (known) return known.originalJson;
  const stage = recipe.stages.find(({ id }) => id === stageId);
  return JSON.stringify(stage ? valueAt(stage, settingPath(stage, path)) ?? null : null);
}

function valueAt(stage: StageRecipe | undefined, path: string): Json | undefined {
  return path.split('.').reduce<unknown>((node, key) => (node as { readonly [key: string]: unknown } | undefined)?.[key], stage) as Json | undefined;
}

function keyOf({ stage, path }: { readonly stage: string; readonly path: string }): string {
  return `${stage}/${path}`;
}
