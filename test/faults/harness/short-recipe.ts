/** micro cut to one teacher: SFT, search RL, distillation. For trials that need each kind of step, and no more. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';

const MICRO = resolve(import.meta.dirname, '../../../recipes/micro.yaml');
const STAGES = ['sft', 'search-rl', 'distill'];

interface RecipeFile {
  name: string;
  stages: { id: string; evaluate: boolean }[];
  teachers: { [domain: string]: string };
}

/** Path of the written recipe; runs of it with seed 1 are called short-s1-1. */
export function writeShortRecipe(folder: string): string {
  const recipe = parse(readFileSync(MICRO, 'utf8')) as RecipeFile;
  const file = join(folder, 'short.yaml');
  writeFileSync(file, stringify({
    ...recipe, name: 'short',
    stages: recipe.stages.filter(({ id }) => STAGES.includes(id)).map((stage) => ({ ...stage, evaluate: false })),
    teachers: { search: 'search-rl', science: 'none', instruction: 'none', tools: 'none' },
  }, { aliasDuplicateObjects: false }));
  return file;
}
