import { describe, expect, it } from 'vitest';
import { buildPageGraph, searchPages } from '../../../environments/search/graph.js';
import { enumerateWalks, questionOf, walkHolds } from '../../../environments/search/walks.js';
import { environments, play } from '../../support/environments.js';

const graph = buildPageGraph(1, 180, 3);
const search = environments.search;

describe('the page graph', () => {
  it('has at least 150 pages of at most 25 tokens, titles of two words, descriptions of their own', () => {
    expect(graph.pages.length).toBeGreaterThanOrEqual(150);
    for (const page of graph.pages) {
      expect(page.text.split(' ').length).toBeLessThanOrEqual(25);
      expect(page.title).toMatch(/^[a-z]+ [a-z]+$/);
      expect(searchPages(graph, [page.kind, page.good])).toEqual([page.title]);
    }
    expect(new Set(graph.pages.map((page) => page.title)).size).toBe(graph.pages.length);
    const largest = buildPageGraph(3, 192, 5);
    expect(Math.max(...largest.pages.map((page) => page.text.split(' ').length))).toBeLessThanOrEqual(25);
  });

  it('has valid links: existing targets, different relations, no self-links, equal degrees', () => {
    const indegree = new Map<string, number>();
    for (const page of graph.pages) {
      expect(new Set(page.links.map((link) => link.relation)).size).toBe(3);
      expect(new Set(page.links.map((link) => link.target)).size).toBe(3);
      for (const link of page.links) {
        expect(graph.byTitle.has(link.target)).toBe(true);
        expect(link.target.split(' ')[1]).not.toBe(page.title.split(' ')[1]);
        indegree.set(link.target, (indegree.get(link.target) ?? 0) + 1);
      }
    }
    expect([...indegree.values()].every((degree) => degree === 3)).toBe(true);
    expect(indegree.size).toBe(graph.pages.length);
  });
});

describe('walks', () => {
  it.each([1, 2, 3])('of %i hops hold, and stop holding when tampered with', (hops) => {
    const walks = enumerateWalks(graph, hops);
    expect(walks.length).toBeGreaterThanOrEqual(500);
    for (const walk of walks.slice(0, 200)) {
      expect(walk.hops).toHaveLength(hops);
      expect(walkHolds(graph, walk)).toBe(true);
      expect(walkHolds(graph, { ...walk, answer: walk.start })).toBe(false);
      const [first, ...rest] = walk.hops;
      expect(walkHolds(graph, { ...walk, hops: [{ ...first!, clause: 'guide of nowhere' }, ...rest] })).toBe(false);
      expect(questionOf(graph, walk, true)).not.toContain(walk.start);
      expect(questionOf(graph, walk, false)).not.toContain(walk.answer);
    }
  });
});

describe('tools', () => {
  const task = search.task(search.taskId('train', 1, '2-hop-masked'));
  const [searching, first, second, answer] = search.demonstrate(task, 'pages') as [string, string, string, string];

  it('finds a described page and reads it', () => {
    const { transitions } = play(search, task, [searching, first]);
    const relation = task.prompt[0]!.content.split(' ')[3] as string;
    const asked = play(search, task, [searching, first.replace(' </call>', ` ${relation} </call>`)]).transitions[1]!.observation as string;
    expect(transitions[1]!.observation).toContain(` ; ${asked}`);
    expect(asked.split(' ')[0]).toBe(relation);
    const title = transitions[0]!.observation as string;
    expect(first).toBe(`<call> read_page ${title} </call>`);
    expect(transitions[1]!.record).toMatchObject({ state: ['turn:0', `page:${title}`], verifier: { name: 'on-walk', passed: true } });
  });

  it('says what is wrong with a call', () => {
    const observe = (call: string) => play(search, task, [`<call> ${call} </call>`]).transitions[0]!.observation;
    expect(observe('read_page amber')).toBe('error read_page needs title');
    expect(observe('read_page of find')).toBe('error no page');
    expect(observe('read_page amber harbor guide guide')).toBe('error read_page needs title');
    expect(observe(`read_page ${graph.pages[0]!.title} lamp`)).toBe('error no link');
    expect(observe('search')).toBe('error search needs words');
    expect(observe('search port find')).toBe('no result');
    expect((observe('search guide') as string).split(' ; ')).toHaveLength(3);
  });

  it('counts rounds and call keys; rubrics say which pages of the walk were read', () => {
    const verdict = search.verify(task, play(search, task, [searching, searching, second, answer]).state);
    expect(verdict).toMatchObject({ correct: true, rounds: 3, rubrics: [false, true] });
    expect(verdict.callKeys[0]).toBe(verdict.callKeys[1]);
  });

  it('a wrong title is in form but not correct; other words are neither', () => {
    expect(search.verify(task, play(search, task, ['<answer> amber harbor </answer>']).state)).toMatchObject({ correct: false, formatOk: true });
    expect(search.verify(task, play(search, task, ['<answer> find lamp </answer>']).state)).toMatchObject({ correct: false, formatOk: false });
    expect(search.verify(task, play(search, task, [searching]).state)).toMatchObject({ correct: false, formatOk: false, answer: '' });
  });
});
