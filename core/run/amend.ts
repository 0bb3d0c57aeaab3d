/** Amended settings: from step N on, one field of a stage's recipe has another value. */
import type { SettingAmended } from '../../proto/gen/stemma/v1/events.js';
import type { Recipe, StageRecipe } from '../recipe/recipe.js';

/** Settings that fix what was already planned or built: an amendment cannot change these. */
const FROZEN = new Set(['id', 'kind', 'init', 'domain', 'steps', 'dataset', 'tasks', 'reference', 'evaluate', 'asynchronous']);

/**
 * The stage's recipe as it holds at `step`: amendments in stream order, later ones win. Two streams have no common order, so a
 * batch records how many amendments its planner had read (BatchClosed.amendments): these are the ones to give for a closed step.
 */
export function stageAt<S extends StageRecipe>(stage: S, step: number, amendments: readonly SettingAmended[]): S {
  let result: S = stage;
  for (const amendment of amendments) {
    if (amendment.stage !== stage.id || amendment.fromStep > step) continue;
    result = withPath(result, amendment.path.split('.'), JSON.parse(amendment.valueJson) as unknown) as S;
  }
  return result;
}

/** Why this amendment cannot be: one sentence, or undefined if it can. */
export function amendmentProblem(stage: StageRecipe | undefined, path: string, value: unknown): string | undefined {
  if (!stage) return 'no such stage in this recipe';
  const keys = path.split('.');
  if (FROZEN.has(keys[0] ?? '')) return `${path} is fixed once a run has started; start a new run with another recipe`;
  const current = keys.reduce<unknown>((node, key) => (isRecord(node) && Object.hasOwn(node, key) ? node[key] : undefined), stage);
  if (current === undefined) return `stage ${stage.id} has no setting ${path}`;
  if (typeof current !== typeof value) return `${path} is a ${typeof current}, not a ${typeof value}`;
  if (typeof value === 'number' && !Number.isFinite(value)) return `${path} must be a finite number`;
  return undefined;
}

/** The recipe with the amendment applied, to be checked by the rules of recipes. */
export function amendedRecipe(recipe: Recipe, stageId: string, path: string, value: unknown): unknown {
  return { ...recipe, stages: recipe.stages.map((stage) => (stage.id === stageId ? withPath(stage, path.split('.'), value) : stage)) };
}

function withPath(node: unknown, keys: readonly string[], value: unknown): unknown {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  if (!isRecord(node)) return node;
  return { ...node, [key]: withPath(node[key], rest, value) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Dotted paths that `amendmentProblem` accepts, for people. */
export function knownSettings(stage: StageRecipe): string[] {
  return Object.entries(stage).filter(([key]) => !FROZEN.has(key)).flatMap(([key, value]) => leaves(key, value));
}

function leaves(path: string, value: unknown): string[] {
  return isRecord(value) ? Object.entries(value).flatMap(([key, inner]) => leaves(`${path}.${key}`, inner)) : [path];
}

/** The whole path of a setting: the stage's id before it is left out, and the end of a path is enough where only one ends so. */
export function settingPath(stage: StageRecipe, path: string): string {
  const within = path.startsWith(`${stage.id}.`) ? path.slice(stage.id.length + 1) : path;
  const ending = knownSettings(stage).filter((known) => known === within || known.endsWith(`.${within}`));
  return ending.length === 1 ? ending[0] ?? within : within;
}
