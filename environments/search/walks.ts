/**
 * Controlled walks over the page graph become questions. A walk never revisits a page, and the answer of a longer walk
 * is no direct link of its start, so that no shorter path gives it away.
 */
import type { Page, PageGraph } from './graph.js';

/** One accepted transition: the record that justifies a hop. */
export interface Hop {
  readonly page: string;
  readonly relation: string;
  readonly target: string;
  /** The clause of the page's text that states the link. */
  readonly clause: string;
}

export interface Walk {
  readonly start: string;
  readonly hops: readonly Hop[];
  /** The final entity. */
  readonly answer: string;
}

/** Every accepted walk of `hopCount` hops, in corpus order. */
export function enumerateWalks(graph: PageGraph, hopCount: number): Walk[] {
  return graph.pages.flatMap((start) => extend(graph, start, [], hopCount))
    .map((hops) => ({ start: (hops[0] as Hop).page, hops, answer: (hops[hops.length - 1] as Hop).target }))
    .filter((walk) => walkHolds(graph, walk));
}

function extend(graph: PageGraph, page: Page, hops: readonly Hop[], hopCount: number): (readonly Hop[])[] {
  if (hops.length === hopCount) return [hops];
  const visited = [page.title, ...hops.map((hop) => hop.page)];
  return page.links.filter((link) => !visited.includes(link.target)).flatMap((link) => {
    const hop: Hop = { page: page.title, relation: link.relation, target: link.target, clause: `${link.relation} ${link.target}` };
    return extend(graph, graph.byTitle.get(link.target) as Page, [...hops, hop], hopCount);
  });
}

/** The verifier of the walk itself: every hop is stated by the page it leaves, nothing is visited twice, no shortcut. */
export function walkHolds(graph: PageGraph, walk: Walk): boolean {
  const titles = [walk.start, ...walk.hops.map((hop) => hop.target)];
  if (new Set(titles).size !== titles.length || titles[titles.length - 1] !== walk.answer) return false;
  const stated = walk.hops.every((hop, i) => hop.page === titles[i] && (graph.byTitle.get(hop.page)?.text.split(' ; ') ?? []).includes(hop.clause));
  const start = graph.byTitle.get(walk.start);
  const shortcut = walk.hops.length > 1 && (start === undefined || start.links.some((link) => link.target === walk.answer));
  return stated && !shortcut;
}

/** `find heir of guide of amber harbor`; masked: `find heir of guide of port with salt`. */
export function questionOf(graph: PageGraph, walk: Walk, masked: boolean): string {
  const start = graph.byTitle.get(walk.start) as Page;
  const relations = walk.hops.map((hop) => hop.relation).reverse();
  return ['find', ...relations.flatMap((relation) => [relation, 'of']), masked ? `${start.kind} with ${start.good}` : start.title].join(' ');
}
