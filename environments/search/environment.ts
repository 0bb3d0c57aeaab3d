/** Search: multi-hop questions over linked pages. Tools: `search WORD+` → titles, `read_page TITLE` → text with links. */
import { answersMatch } from '../../core/verify/answer.js';
import { makeEnvironment } from '../domain.js';
import type { CallOutcome, DomainEnvironment, EpisodeState, Judgement } from '../domain.js';
import type { RawSettings } from '../settings.js';
import { drawForSplit } from '../task-key.js';
import type { KeySpace, TaskKey } from '../task-key.js';
import { answerTurn, callTurn } from '../turn.js';
import { ADJECTIVES, GOODS, LANDMARKS, PAGE_KINDS, RELATIONS } from '../words.js';
import { buildPageGraph, searchPages } from './graph.js';
import type { Page, PageGraph } from './graph.js';
import { SEARCH_VARIANTS, readSearchSettings } from './settings.js';
import { drawWalk, questionOf } from './walks.js';
import type { Walk } from './walks.js';

interface Question {
  readonly prompt: string;
  readonly answer: string;
  readonly walk: Walk;
  readonly masked: boolean;
}

/** Titles read so far, in order. */
type World = { readonly read: readonly string[] };

const MAX_RESULTS = 3;
const VOCABULARY = [
  ...ADJECTIVES, ...LANDMARKS, ...PAGE_KINDS, ...RELATIONS, ...GOODS,
  'find', 'of', 'with', ';', 'search', 'read_page', 'error', 'no', 'page', 'result', 'needs', 'words', 'title',
];

export function createSearchEnvironment(raw: RawSettings): DomainEnvironment {
  const settings = readSearchSettings(raw);
  const graph = buildPageGraph(settings.seed, settings.pages, settings.links);
  return makeEnvironment<Question, World>({
    domain: 'search', revision: 1, settings, variants: SEARCH_VARIANTS, vocabulary: VOCABULARY, tools: ['search', 'read_page'],
    create: (space, key) => createQuestion(graph, space, key),
    world: () => ({ read: [] }),
    call: (question, state, call) => (call.name === 'search' ? search(graph, state, call.words) : readPage(graph, question, state, call.words)),
    judge,
    expert: (question) => solve(graph, question),
  });
}

function createQuestion(graph: PageGraph, space: KeySpace, key: TaskKey): Question {
  const hops = Number(key.variant[0]);
  const masked = key.variant.endsWith('-masked');
  return drawForSplit(space, key, (random) => {
    const walk = drawWalk(graph, random, hops);
    return { prompt: questionOf(graph, walk, masked), answer: walk.answer, walk, masked };
  });
}

function search(graph: PageGraph, state: EpisodeState<World>, words: readonly string[]): CallOutcome<World> {
  const titles = words.length === 0 ? [] : searchPages(graph, words).slice(0, MAX_RESULTS);
  const observation = words.length === 0 ? 'error search needs words' : titles.join(' ; ') || 'no result';
  return { world: state.world, observation, ok: words.length > 0, arguments: { words }, evidence: [], verifier: { name: 'found', passed: titles.length > 0 } };
}

function readPage(graph: PageGraph, question: Question, state: EpisodeState<World>, words: readonly string[]): CallOutcome<World> {
  const title = words.join(' ');
  const page = graph.byTitle.get(title);
  if (page === undefined) {
    const observation = words.length === 2 ? 'error no page' : 'error read_page needs title';
    return { world: state.world, observation, ok: false, arguments: { title }, evidence: [], verifier: { name: 'page-exists', passed: false } };
  }
  const onWalk = question.walk.hops.some((hop) => hop.page === title);
  return {
    world: { read: [...state.world.read, title] }, observation: page.text, ok: true, arguments: { title },
    evidence: [`page:${title}`], verifier: { name: 'on-walk', passed: onWalk },
  };
}

/** Rubrics: each page of the walk whose text states a hop was read. */
function judge(question: Question, state: EpisodeState<World>): Judgement {
  const correct = state.answer !== null && answersMatch(state.answer, question.answer);
  const formatOk = state.answer !== null && isTitle(state.answer.split(' '));
  const rubrics = question.walk.hops.map((hop) => state.world.read.includes(hop.page));
  return { correct, formatOk, rubrics, fraction: Number(correct) };
}

function isTitle(words: readonly string[]): boolean {
  return words.length === 2 && (ADJECTIVES as readonly string[]).includes(words[0] as string) && (LANDMARKS as readonly string[]).includes(words[1] as string);
}

function solve(graph: PageGraph, question: Question): string[] {
  const start = graph.byTitle.get(question.walk.start) as Page;
  const searching = question.masked ? [callTurn('search', start.kind, start.good)] : [];
  const reading = question.walk.hops.map((hop) => callTurn('read_page', hop.page));
  return [...searching, ...reading, answerTurn(question.answer)];
}
