import { describe, expect, it } from 'vitest';
import { DOMAINS } from '../../../core/environment.js';
import { SPECIAL_TOKENS, corpusText, createEnvironments } from '../../../environments/registry.js';
import { TURN_PROBLEM_WORDS, wordsOf } from '../../../environments/turn.js';
import { environments, play } from '../../support/environments.js';

describe('createEnvironments', () => {
  it('names every wrong setting of every domain at once', () => {
    const wrong = { search: { pages: 3, colour: 'red' }, science: { maxFactor: 'nine' }, instruction: {}, tools: { mixtures: { '': { '9-call': 1 } } } };
    let message = '';
    try {
      createEnvironments(wrong);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split('\n')).toEqual([
      'environments.search.colour: unknown setting; known: seed, pages, links, queryShare, mixtures',
      'environments.search.pages: must be an integer from 150 to 192',
      'environments.science.maxFactor: must be an integer from 5 to 30',
      'environments.tools.mixtures: mixture "" names unknown variants 9-call; known: 1-call, 2-call, 3-call',
    ]);
  });

  it('checks settings against each other', () => {
    expect(() => createEnvironments({ search: {}, science: {}, instruction: { minWords: 4, maxWords: 3 }, tools: {} })).toThrow(/minWords: must not exceed maxWords/);
  });

  it('takes named mixtures from the recipe and keeps the default ones', () => {
    const { search } = createEnvironments({ search: { mixtures: { '': { '3-hop': 1 }, mine: { '1-hop': 1 } } }, science: {}, instruction: {}, tools: {} });
    expect(search.taskId('train', 5, '')).toBe('search/train/3-hop/5');
    expect(search.taskId('train', 5, 'mine')).toBe('search/train/1-hop/5');
    expect(search.taskId('train', 5, 'easy')).toMatch(/^search\/train\/.-hop/);
  });

  it('draws a mixture by its shares', () => {
    const { tools } = createEnvironments({ search: {}, science: {}, instruction: {}, tools: { mixtures: { mine: { '1-call': 3, '2-call': 1 } } } });
    const ids = Array.from({ length: 2000 }, (_, index) => tools.taskId('train', index, 'mine'));
    expect(ids.filter((id) => id.includes('/1-call/')).length / 2000).toBeCloseTo(0.75, 1);
  });

  it('another seed is another corpus, and another version', () => {
    const other = createEnvironments({ search: { seed: 2 }, science: {}, instruction: {}, tools: {} }).search;
    const id = other.taskId('train', 0, '2-hop');
    expect(other.task(id).prompt).not.toEqual(environments.search.task(id).prompt);
    expect(other.version).not.toBe(environments.search.version);
  });
});

describe('the vocabulary', () => {
  const known = new Set([...SPECIAL_TOKENS, ...wordsOf(corpusText(environments))]);

  it('has at most 512 words, special tokens included', () => {
    console.log(`vocabulary: ${known.size} words`);
    expect(known.size).toBeLessThanOrEqual(512);
    expect(known.size).toBe(SPECIAL_TOKENS.length + new Set(wordsOf(corpusText(environments))).size);
  });

  it('spells every prompt, demonstration and observation', () => {
    const unknown = new Set<string>();
    for (const domain of DOMAINS) {
      const environment = environments[domain];
      const texts = [environment.vocabulary.join(' '), TURN_PROBLEM_WORDS.join(' ')];
      for (const variant of environment.variants) {
        for (let index = 0; index < 300; index++) {
          const task = environment.task(environment.taskId('train', index, variant));
          const turns = environment.demonstrate(task, 'tool');
          texts.push(...task.prompt.map((message) => message.content), ...turns, ...play(environment, task, turns).transitions.map((entry) => entry.observation ?? ''));
        }
      }
      for (const text of texts) for (const word of wordsOf(text)) if (!known.has(word)) unknown.add(word);
    }
    expect([...unknown]).toEqual([]);
  });
});
