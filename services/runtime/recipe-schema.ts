/**
 * Recipes as YAML: parsed into core/recipe/recipe.ts, all problems at once, each with its path, line and reason.
 * A recipe is untrusted input: its size and its aliases are bounded, and nothing in it is executed.
 */
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
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
const MOST_FAULTS = 20;
/** Brackets that are open at once, or dashes in a row: no recipe has ten. The parser takes a time that grows with their square. */
const MOST_NESTED = 100;

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
  const { recipe, problems: found } = shapeProblems(raw);
  const shape = [...found, ...prototypeKeys(raw)];
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
  return withinStack(sourceName, () => checkRecipe(raw, sourceName, () => null));
}

/** YAML text to a recipe. Throws one StemmaError('recipe', 'INVALID') that lists every problem on a line of its own. */
export function parseRecipe(yamlText: string, sourceName: string): Recipe {
  const bytes = Buffer.byteLength(yamlText);
  if (bytes > MAX_RECIPE_BYTES) {
    throw invalid(sourceName, [`${bytes} bytes; a recipe has at most ${MAX_RECIPE_BYTES}`], 'Check that this file is a recipe.');
  }
  if (nestedDeeply(yamlText)) throw invalid(sourceName, ['nested too deeply'], 'Check that this file is a recipe.');
  const lines = new LineCounter();
  const document = withinStack(sourceName, () => parseDocument(yamlText, { lineCounter: lines, prettyErrors: false }));
  const faults = [...document.errors, ...document.warnings];
  // Where, and what rule, but not the text: whoever submits a path may not be allowed to read that file.
  if (faults.length > 0) throw invalid(sourceName, faults.slice(0, MOST_FAULTS).map(({ code, pos }) => `line ${lines.linePos(pos[0]).line}, column ${lines.linePos(pos[0]).col}: ${faultText(code)}`), 'Correct the YAML at the places named.');
  return withinStack(sourceName, () => checkRecipe(plainValue(document, sourceName), sourceName, locator(document, lines)));
}

/** BAD_INDENT → bad indent */
function faultText(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ');
}

function nestedDeeply(text: string): boolean {
  let open = 0;
  for (const character of text) {
    if (character === '[' || character === '{') open += 1;
    else if (character === ']' || character === '}') open = Math.max(0, open - 1);
    if (open > MOST_NESTED) return true;
  }
  return new RegExp(`(?:[-?:]\\s+){${MOST_NESTED}}`).test(text);
}

/** Parsing and checking recurse: what is nested too deeply for the stack is refused like anything else. */
function withinStack<T>(sourceName: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalid(sourceName, ['nested too deeply'], 'Check that this file is a recipe.');
  }
}

/** A key that would reach the prototype of whatever object it is copied into. */
function prototypeKeys(value: unknown, path: Path = []): { path: Path; reason: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === '__proto__' ? [{ path: [...path, key], reason: 'unknown key' }] : prototypeKeys(inner, [...path, key])));
}

function plainValue(document: Document, sourceName: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    if (error instanceof RangeError) throw error;
    // The yaml library throws ReferenceError on an alias bomb and on an alias without anchor.
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(sourceName, [`aliases refused: ${reason}`], `Write repeated parts out, or use fewer aliases (at most ${MAX_ALIASES}, nested ones multiply).`);
  }
}

/** `micro` means recipes/micro.yaml of this package; anything with a slash or .yaml is a file. */
export async function loadRecipe(nameOrPath: string): Promise<Recipe> {
  const isPath = /[/\\]|\.ya?ml$/.test(nameOrPath);
  const file = isPath ? resolve(nameOrPath) : join(packageRoot(), 'recipes', `${nameOrPath}.yaml`);
  if (!/^[^\0]{1,4096}\.ya?ml$/.test(file)) throw new StemmaError('recipe', 'INVALID', `'${nameOrPath.slice(0, 200)}' cannot be a recipe: its name must end in .yaml`, 'Give the name of a recipe, or the path of a .yaml file.');
  const text = await readRecipeFile(file, nameOrPath).catch(async (error: NodeJS.ErrnoException) => {
    if (!NO_FILE.has(error.code ?? '')) throw error;
    throw new StemmaError('recipe', 'NOT_FOUND', `no recipe '${nameOrPath.slice(0, 200)}'${isPath ? ` (looked for ${file.slice(0, 400)})` : ''}`, `Known recipes: ${(await recipeNames()).join(', ')}; or give the path of a .yaml file.`);
  });
  return parseRecipe(text, isPath ? nameOrPath : `recipes/${nameOrPath}.yaml`);
}

const NO_FILE: ReadonlySet<string> = new Set(['ENOENT', 'EISDIR', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENXIO', 'EACCES', 'EPERM']);

/** The path may come from a stranger: a pipe or a device must not hold this process, nor fill it. */
async function readRecipeFile(file: string, nameOrPath: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw invalid(nameOrPath, ['it is no file'], 'Give the path of a .yaml file.');
    if (stat.size > MAX_RECIPE_BYTES) throw invalid(nameOrPath, [`${stat.size} bytes; a recipe has at most ${MAX_RECIPE_BYTES}`], 'Check that this file is a recipe.');
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** Names of the recipes that ship with the package. */
export async function recipeNames(): Promise<string[]> {
  const files = await readdir(join(packageRoot(), 'recipes'));
  return files.filter((file) => file.endsWith('.yaml')).map((file) => file.slice(0, -'.yaml'.length)).sort();
}
