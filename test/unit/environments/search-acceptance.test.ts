/**
 * The acceptance predicates (core/kag/accept.ts) over the search tasks that the shipped recipes draw: walks are made so that
 * every task of two or more dependent actions is accepted; one-hop questions are warm-up and fall to exactly one predicate.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { rejectionsOf } from '../../../core/kag/accept.js';
import { createEnvironments } from '../../../environments/registry.js';
import { SEARCH_VARIANTS } from '../../../environments/search/settings.js';
import { play } from '../../support/environments.js';

type EnvironmentSettings = Parameters<typeof createEnvironments>[0];
const TASKS = 150;

describe.each(['micro', 'tiny', 'agents-a1'])('search tasks of %s', (recipe) => {
  const text = readFileSync(join(import.meta.dirname, `../../../recipes/${recipe}.yaml`), 'utf8');
  const { search } = createEnvironments((parse(text) as { environments: EnvironmentSettings }).environments);

  /** Two experts solve it, by pages and by links; shortcuts are looked for in what the prompt and its first page give away. */
  function rejections(id: string): string[] {
    const task = search.task(id);
    const expert = search.demonstrate(task, 'pages');
    const solved = [expert, search.demonstrate(task, 'links')].map((turns) => play(search, task, turns));
    const records = solved[0]!.transitions.map(({ record }) => record);
    const reads = records.filter(({ action }) => action.name === 'read_page');
    const prompt = task.prompt.map(({ content }) => content).join(' ');
    const lastPage = (reads.at(-1)?.action.arguments as { title: string }).title;
    return rejectionsOf({
      answer: task.answer, records, verifiers: ['outcome'], domainVerifiers: ['outcome', 'found', 'on-walk', 'page-exists'],
      evidence: reads.map(({ action }) => ({ id: `page:${(action.arguments as { title: string }).title}` })),
      probes: {
        solverAnswers: solved.map(({ state }) => search.verify(task, state).answer),
        solvedClosedBook: prompt.includes(task.answer),
        solvedBySingleLookup: records[0]!.observation.includes(task.answer),
        solvedFromLastHop: reads.length > 1 && prompt.includes(lastPage),
      },
    }).map(({ predicate }) => predicate);
  }

  it.each(SEARCH_VARIANTS.filter((variant) => variant !== '1-hop'))('%s: every one is accepted', (variant) => {
    const refused = Array.from({ length: TASKS }, (_, index) => search.taskId('train', index, variant)).flatMap((id) => rejections(id).map((predicate) => `${id}: ${predicate}`));
    expect(refused).toEqual([]);
  });

  it('1-hop: a single look-up and its answer, and nothing else is wrong with it', () => {
    const predicates = new Set(Array.from({ length: TASKS }, (_, index) => rejections(search.taskId('train', index, '1-hop')).join()));
    expect([...predicates]).toEqual(['process-informative']);
  });
});
