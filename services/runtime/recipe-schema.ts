/**
 * Recipes as YAML: parsed into core/recipe/recipe.ts, all problems at once, each with its path, line and reason.
 * A recipe is untrusted input: its size and its aliases are bounded, and nothing in it is executed.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { LineCounter, isNode, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import type { z } from 'zod';
import { StemmaError } from '../../core/errors.js';
import { pathText } from '../../core/recipe/problems.js';
import type { Problem } from '../../core/recipe/problems.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import { referenceProblems, stageGraphOf } from '../../core/recipe/references.js';
import { recipeProblems } from '../../core/recipe/validate.js';
import { packageRoot } from './package-root.js';
import { environmentProblems } from './recipe-environments.js';
import { recipeShape } from './recipe-shapes.js';

const MAX_RECIPE_BYTES = 256 * 1024;
/** Enough for anchors that repeat an optimizer; far below what makes an alias bomb grow. */
const MAX_ALIASES = 100;

type Path = readonly (string | number)[];

/** Where a path stands in the file; a missing key is placed at its nearest parent. */
type Locate = (path: Path) => number | null;

function locator(document: Document, lines: LineCounter): Locate {
  return (path) => {
    for (let length = path.length; length >= 0; length -= 1) {
      const node: unknown = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return null;
  };
}

function invalid(sourceName: string, problems: readonly string[], remedy: string): StemmaError {
  const title = `${sourceName}: ${problems.length === 1 ? '1 problem' : `${problems.length} problems`}`;
  return new StemmaError('recipe', 'INVALID', [title, ...problems.map((problem) => `  ${problem}`)].join('\n'), remedy);
}

function shapeProblems(raw: unknown): { recipe: Recipe | null; problems: { path: Path; reason: string }[] } {
  const parsed = recipeShape.safeParse(raw);
  if (parsed.success) return { recipe: parsed.data, problems: [] };
  return { recipe: null, problems: parsed.error.issues.flatMap(issueProblems) };
}

function issueProblems(issue: z.core.$ZodIssue): { path: Path; reason: string }[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: [...path, key], reason: 'unknown key' }));
  return [{ path, reason: issue.message.replace(/^Invalid input: /, '').replace(/^Too (small|big): /, '') }];
}

/** 'stages[2].sva.topK' → ['stages', 2, 'sva', 'topK'] */
function pathOf(text: string): Path {
  return text.split(/[.[\]]+/).filter((part) => part !== '').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

/** Checks a plain value against the shape, its references and everything across fields. `locate` adds line numbers. */
function checkRecipe(raw: unknown, sourceName: string, locate: Locate): Recipe {
  const { recipe, problems: shape } = shapeProblems(raw);
  const problems: Problem[] = [
    ...shape.map(({ path, reason }) => ({ path: pathText(path), reason })),
    ...referenceProblems(stageGraphOf(raw)),
    ...(recipe === null ? [] : [...recipeProblems(recipe), ...environmentProblems(recipe)]),
  ];
  if (problems.length === 0 && recipe !== null) return recipe;
  const lines = problems.map(({ path, reason }) => {
    const line = locate(pathOf(path));
    return `${path === '' ? 'recipe' : path}${line === null ? '' : ` (line ${line})`}: ${reason}`;
  });
  throw invalid(sourceName, lines, 'Correct the recipe at the places named; recipes/tiny.yaml is a complete example.');
}

/** A recipe that is already a value: from a manifest, or with an amended setting. Throws as parseRecipe does. */
export function parseRecipeValue(raw: unknown, sourceName: string): Recipe {
  return checkRecipe(raw, sourceName, () => null);
}

/** YAML text to a recipe. Throws one StemmaError('recipe', 'INVALID') that lists every problem on a line of its own. */
export function parseRecipe(yamlText: string, sourceName: string): Recipe {
  const bytes = Buffer.byteLength(yamlText);
  if (bytes > MAX_RECIPE_BYTES) {
    throw invalid(sourceName, [`${bytes} bytes; a recipe has at most ${MAX_RECIPE_BYTES}`], 'Check that this file is a recipe.');
  }
  const lines = new LineCounter();
  const document = parseDocument(yamlText, { lineCounter: lines, prettyErrors: true });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw invalid(sourceName, faults.map((fault) => fault.message.trimEnd().replaceAll('\n', '\n  ')), 'Correct the YAML at the places named.');
  }
  return checkRecipe(plainValue(document, sourceName), sourceName, locator(document, lines));
}

function plainValue(document: Document, sourceName: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    // The yaml library throws ReferenceError on an alias bomb and on an alias without anchor.
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(sourceName, [`aliases refused: ${reason}`], `Write repeated parts out, or use fewer aliases (at most ${MAX_ALIASES}, nested ones multiply).`);
  }
}

/** `micro` means recipes/micro.yaml of this package; anything with a slash or .yaml is a file. */
export async function loadRecipe(nameOrPath: string): Promise<Recipe> {
  const isPath = /[/\\]|\.ya?ml$/.test(nameOrPath);
  const file = isPath ? resolve(nameOrPath) : join(packageRoot(), 'recipes', `${nameOrPath}.yaml`);
  const text = await readFile(file, 'utf8').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'EISDIR') throw error;
    throw new StemmaError('recipe', 'NOT_FOUND', `no recipe '${nameOrPath}' (looked for ${file})`, `Known recipes: ${(await recipeNames()).join(', ')}; or give the path of a .yaml file.`);
  });
  return parseRecipe(text, isPath ? nameOrPath : `recipes/${nameOrPath}.yaml`);
}

/** Names of the recipes that ship with the package. */
export async function recipeNames(): Promise<string[]> {
  const files = await readdir(join(packageRoot(), 'recipes'));
  return files.filter((file) => file.endsWith('.yaml')).map((file) => file.slice(0, -'.yaml'.length)).sort();
}
