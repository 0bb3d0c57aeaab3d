/** The four domains of a recipe. */
import { DOMAINS } from '../core/environment.js';
import type { Domain } from '../core/environment.js';
import type { Recipe } from '../core/recipe/recipe.js';
import { StemmaError } from '../core/errors.js';
import type { DomainEnvironment } from './domain.js';
import { createInstructionEnvironment } from './instruction/environment.js';
import { createScienceEnvironment } from './science/environment.js';
import { createSearchEnvironment } from './search/environment.js';
import { createToolsEnvironment } from './tools/environment.js';
import { TURN_PROBLEM_WORDS } from './turn.js';

export { SPECIAL_TOKENS } from './chat-template.js';

export type Environments = { readonly [D in Domain]: DomainEnvironment };

/** Throws INVALID naming every wrong setting of every domain. */
export function createEnvironments(settings: Recipe['environments']): Environments {
  const problems: string[] = [];
  const create = (domain: Domain, make: (raw: Recipe['environments'][Domain]) => DomainEnvironment): DomainEnvironment | undefined => {
    try {
      return make(settings[domain]);
    } catch (error) {
      if (!(error instanceof StemmaError) || error.boundary !== 'recipe') throw error;
      problems.push(error.message);
      return undefined;
    }
  };
  const environments = {
    search: create('search', createSearchEnvironment),
    science: create('science', createScienceEnvironment),
    instruction: create('instruction', createInstructionEnvironment),
    tools: create('tools', createToolsEnvironment),
  };
  if (problems.length > 0) throw new StemmaError('recipe', 'INVALID', problems.join('\n'), 'Correct these settings in the recipe.');
  return environments as Environments;
}

const SAMPLE_TASKS = 20;

/** What the tokenizer is trained on: every word once, then demonstrations of every variant. Special tokens are not in it. */
export function corpusText(environments: Environments): string {
  const lines = [TURN_PROBLEM_WORDS.join(' ')];
  for (const domain of DOMAINS) {
    const environment = environments[domain];
    lines.push(environment.vocabulary.join(' '));
    for (const variant of environment.variants) {
      for (let index = 0; index < SAMPLE_TASKS; index++) {
        const task = environment.task(environment.taskId('train', index, variant));
        lines.push([...task.prompt.map((message) => message.content), ...environment.demonstrate(task, '')].join(' '));
      }
    }
  }
  return lines.join('\n').replace(/<\/?(call|answer)> ?/g, '') + '\n';
}
