/** The recipe of a run: read once from where the spec says, frozen in a ConfigMap of the run, and read from there ever after. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { StemmaError } from '../../core/errors.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import { packageRoot } from '../../services/runtime/package-root.js';
import { parseRecipe, parseRecipeValue, recipeNames } from '../../services/runtime/recipe-schema.js';
import { isRefusal, type KubeApi } from './api.js';
import { recipeConfigMapName } from './desired.js';
import { bakeOverrides, type BakedOverride, type FrozenRecipe } from './overrides.js';
import { pathOf, type KubeObject } from './resources.js';
import type { TrainingRun } from './training-run.js';

export type Resolution =
  | { readonly kind: 'frozen'; readonly frozen: FrozenRecipe }
  | { readonly kind: 'unresolved'; readonly reason: 'RecipeInvalid' | 'RecipeNotFound' | 'ConfigMapMissing' | 'KeyMissing'; readonly message: string };

export interface ConfigMap extends KubeObject {
  readonly data?: { readonly [key: string]: string };
}

/** Texts parsed, the last ones used: a look at a run every few seconds must not parse its recipe every time, and many runs have the same. */
export class ParsedRecipes {
  private readonly recipes = new Map<string, Recipe>();

  parse(text: string, name: string): Recipe {
    const recipe = this.recipes.get(text) ?? parseRecipe(text, name);
    this.recipes.delete(text);
    this.recipes.set(text, recipe);
    const [oldest] = this.recipes.keys();
    if (this.recipes.size > MOST_PARSED && oldest !== undefined) this.recipes.delete(oldest);
    return recipe;
  }
}

const MOST_PARSED = 256;

export interface RecipeSource {
  readonly api: KubeApi;
  readonly recipes: ParsedRecipes;
}

/** `known`: the run's own ConfigMap, if the mirror has it. */
export async function resolveRecipe({ api, recipes }: RecipeSource, run: TrainingRun, known: KubeObject | undefined): Promise<Resolution> {
  // The mirror may be behind: what was frozen once is never read anew.
  const own = (known as ConfigMap | undefined) ?? await readConfigMap(api, run, recipeConfigMapName(run));
  const text = own?.data?.['recipe.yaml'];
  if (text !== undefined && own?.metadata.ownerReferences?.some(({ uid }) => uid === run.metadata.uid)) {
    const baked = JSON.parse(own.data?.['overrides.json'] ?? '[]') as BakedOverride[];
    return { kind: 'frozen', frozen: { text, baked, recipe: recipes.parse(text, own.metadata.name) } };
  }
  const source = await sourceText(api, run);
  return typeof source === 'string' ? freeze(run, source) : source;
}

function freeze(run: TrainingRun, source: string): Resolution {
  try {
    const original = parseRecipe(source, 'recipe');
    const { raw, baked, problems } = bakeOverrides(original, run.spec.overrides);
    if (problems.length > 0) return { kind: 'unresolved', reason: 'RecipeInvalid', message: problems.join('\n') };
    if (baked.length === 0) return { kind: 'frozen', frozen: { text: source, baked, recipe: original } };
    return { kind: 'frozen', frozen: { text: stringify(raw), baked, recipe: parseRecipeValue(raw, 'recipe with overrides') } };
  } catch (error) {
    if (!(error instanceof StemmaError) || error.boundary !== 'recipe') throw error;
    return { kind: 'unresolved', reason: 'RecipeInvalid', message: error.message };
  }
}

async function sourceText(api: KubeApi, { metadata, spec: { recipe } }: TrainingRun): Promise<string | Resolution> {
  if (recipe.inline !== undefined) return recipe.inline;
  if (recipe.name !== undefined) return shippedRecipe(recipe.name);
  const { name, key } = recipe.configMap!;
  const configMap = await readConfigMap(api, { metadata }, name);
  if (configMap === undefined) return { kind: 'unresolved', reason: 'ConfigMapMissing', message: `there is no ConfigMap ${name} in ${metadata.namespace}: create it, with the recipe under ${key}` };
  const text = configMap.data?.[key];
  if (text !== undefined) return text;
  const keys = Object.keys(configMap.data ?? {});
  return { kind: 'unresolved', reason: 'KeyMissing', message: `ConfigMap ${name} has no key ${key}${keys.length > 0 ? `; it has ${keys.join(', ')}` : ''}` };
}

async function shippedRecipe(name: string): Promise<string | Resolution> {
  try {
    return await readFile(join(packageRoot(), 'recipes', `${name}.yaml`), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { kind: 'unresolved', reason: 'RecipeNotFound', message: `no recipe named ${name} ships with this version; there are ${(await recipeNames()).join(', ')}` };
  }
}

async function readConfigMap(api: KubeApi, { metadata }: Pick<TrainingRun, 'metadata'>, name: string): Promise<ConfigMap | undefined> {
  return api.call<ConfigMap>({ method: 'GET', path: pathOf('ConfigMap', metadata.namespace, name) }).catch((error: unknown) => {
    if (isRefusal(error, 'NotFound')) return undefined;
    throw error;
  });
}
