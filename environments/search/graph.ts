/**
 * The search instance of the knowledge-action graph's corpus: pages (nodes) and named links (anchors), made from the
 * word lists and a seed. Every page has the same in- and out-degree, no page links to itself, to a page twice, or to a
 * page that shares its landmark word (a near-duplicate title).
 */
import { randomOf } from '../random.js';
import type { Random } from '../random.js';
import { ADJECTIVES, GOODS, LANDMARKS, PAGE_KINDS, RELATIONS } from '../words.js';

export interface Link {
  readonly relation: string;
  readonly target: string;
}

export interface Page {
  /** Two words, unique. */
  readonly title: string;
  /** What kind of place and what it makes: unique together, so a page can be described without its title. */
  readonly kind: string;
  readonly good: string;
  readonly links: readonly Link[];
  /** What read_page shows; at most 25 tokens. */
  readonly text: string;
}

export interface PageGraph {
  readonly pages: readonly Page[];
  readonly byTitle: ReadonlyMap<string, Page>;
}

export function buildPageGraph(seed: number, pageCount: number, linkCount: number): PageGraph {
  const random = randomOf(seed, 'search', 'corpus');
  const titles = random.sample(pairs(ADJECTIVES, LANDMARKS), pageCount);
  const descriptions = random.sample(pairs(PAGE_KINDS, GOODS), pageCount);
  const targets = drawTargets(random, titles, linkCount);
  const pages = titles.map((title, i): Page => {
    const [kind, good] = (descriptions[i] as string).split(' ') as [string, string];
    const relations = random.sample(RELATIONS, linkCount);
    const links = relations.map((relation, k) => ({ relation, target: (targets[i] as string[])[k] as string }));
    return { title, kind, good, links, text: [`${kind} ${good}`, ...links.map((link) => `${link.relation} ${link.target}`)].join(' ; ') };
  });
  return { pages, byTitle: new Map(pages.map((page) => [page.title, page])) };
}

/** Titles of pages that hold every word, in corpus order. */
export function searchPages(graph: PageGraph, words: readonly string[]): string[] {
  return graph.pages
    .filter((page) => words.every((word) => wordsOf(page).has(word)))
    .map((page) => page.title);
}

const wordsOfPages = new WeakMap<Page, ReadonlySet<string>>();

function wordsOf(page: Page): ReadonlySet<string> {
  const known = wordsOfPages.get(page) ?? new Set([...page.text.split(' '), ...page.title.split(' ')]);
  wordsOfPages.set(page, known);
  return known;
}

function pairs(left: readonly string[], right: readonly string[]): string[] {
  return left.flatMap((a) => right.map((b) => `${a} ${b}`));
}

/** `linkCount` permutations of the pages, repaired by swaps until every link is allowed: degrees stay equal. */
function drawTargets(random: Random, titles: readonly string[], linkCount: number): string[][] {
  const targets: string[][] = titles.map(() => []);
  for (let k = 0; k < linkCount; k++) {
    const column = random.shuffled(titles);
    const allowed = (i: number, target: string): boolean => linkAllowed(titles[i] as string, target) && !(targets[i] as string[]).includes(target);
    for (let i = 0; i < titles.length; i++) {
      if (allowed(i, column[i] as string)) continue;
      const partners = random.shuffled(titles.map((_, j) => j)).filter((j) => j !== i);
      const partner = partners.find((j) => allowed(i, column[j] as string) && allowed(j, column[i] as string));
      if (partner === undefined) throw new RangeError('the word lists are too small for this many links');
      [column[i], column[partner]] = [column[partner] as string, column[i] as string];
    }
    column.forEach((target, i) => (targets[i] as string[]).push(target));
  }
  return targets;
}

function linkAllowed(from: string, to: string): boolean {
  return from !== to && from.split(' ')[1] !== to.split(' ')[1];
}
