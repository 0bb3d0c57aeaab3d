/**
 * Search: multi-hop questions over linked pages. Tools: `search WORD+` → titles; `read_page TITLE` → text with links;
 * `read_page TITLE RELATION` → the extract that answers this query.
 */
import { answersMatch } from '../../core/verify/answer.js';
import { hashKey } from '../random.js';
import { makeEnvironment } from '../domain.js';
import type { CallOutcome, DomainEnvironment, EpisodeState, Judgement } from '../domain.js';
import type { RawSettings } from '../settings.js';
import { poolForSplit } from '../task-key.js';
import { answerTurn, callTurn } from '../turn.js';
import { ADJECTIVES, GOODS, LANDMARKS, PAGE_KINDS, RELATIONS } from '../words.js';
import { buildPageGraph, searchPages } from './graph.js';
import type { Page, PageGraph } from './graph.js';
import { SEARCH_VARIANTS, readSearchSettings } from './settings.js';
import { enumerateWalks, questionOf } from './walks.js';
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
  'find', 'of', 'with', ';', 'search', 'read_page', 'error', 'no', 'page', 'result', 'needs', 'words', 'title', 'link',
];

export function createSearchEnvironment(raw: RawSettings): DomainEnvironment {
  const settings = readSearchSettings(raw);
  const graph = buildPageGraph(settings.seed, settings.pages, settings.links);
  return makeEnvironment<Question, World>({
    domain: 'search', revision: 1, settings, variants: SEARCH_VARIANTS, vocabulary: VOCABULARY, tools: ['search', 'read_page'],
    create: poolForSplit((variant) => enumerateQuestions(graph, variant)),
    world: () => ({ read: [] }),
    call: (question, state, call) => (call.name === 'search' ? search(graph, state, call.words) : readPage(graph, question, state, call.words)),
    judge,
    expert: (question, style) => solve(graph, question, asksForLink(question, style, settings.queryShare)),
  });
}

function enumerateQuestions(graph: PageGraph, variant: string): Question[] {
  const masked = variant.endsWith('-masked');
  return enumerateWalks(graph, Number(variant[0])).map((walk) => ({ prompt: questionOf(graph, walk, masked), answer: walk.answer, walk, masked }));
}

function search(graph: PageGraph, state: EpisodeState<World>, words: readonly string[]): CallOutcome<World> {
  const titles = words.length === 0 ? [] : searchPages(graph, words).slice(0, MAX_RESULTS);
  const observation = words.length === 0 ? 'error search needs words' : titles.join(' ; ') || 'no result';
  return { world: state.world, observation, ok: words.length > 0, arguments: { words }, evidence: [], verifier: { name: 'found', passed: titles.length > 0 } };
}

/** `read_page TITLE` shows the page, `read_page TITLE RELATION` only the clause that states the link. */
function readPage(graph: PageGraph, question: Question, state: EpisodeState<World>, words: readonly string[]): CallOutcome<World> {
  const title = words.slice(0, 2).join(' ');
  const relation = words[2];
  const refuse = (observation: string): CallOutcome<World> => ({
    world: state.world, observation, ok: false, arguments: { title: words.join(' ') }, evidence: [], verifier: { name: 'page-exists', passed: false },
  });
  if (words.length < 2 || words.length > 3) return refuse('error read_page needs title');
  const page = graph.byTitle.get(title);
  if (page === undefined) return refuse('error no page');
  const link = page.links.find((entry) => entry.relation === relation);
  if (relation !== undefined && link === undefined) return refuse('error no link');
  const onWalk = question.walk.hops.some((hop) => hop.page === title);
  return {
    world: { read: [...state.world.read, title] }, observation: link === undefined ? page.text : `${link.relation} ${link.target}`, ok: true,
    arguments: relation === undefined ? { title } : { title, link: relation }, evidence: [`page:${title}`], verifier: { name: 'on-walk', passed: onWalk },
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

/** 'pages' reads whole pages, 'links' asks for one link a page; the default mixes both by the prompt. */
function asksForLink(question: Question, style: string, queryShare: number): boolean {
  if (style === 'pages' || style === 'links') return style === 'links';
  return hashKey(`style\u0000${question.prompt}`)[0] / 2 ** 32 < queryShare;
}

function solve(graph: PageGraph, question: Question, links: boolean): string[] {
  const start = graph.byTitle.get(question.walk.start) as Page;
  const searching = question.masked ? [callTurn('search', start.kind, start.good)] : [];
  const reading = question.walk.hops.map((hop) => callTurn('read_page', hop.page, ...(links ? [hop.relation] : [])));
  return [...searching, ...reading, answerTurn(question.answer)];
}
