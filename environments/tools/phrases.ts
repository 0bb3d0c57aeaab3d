/**
 * How a dependency path becomes a request and its hidden support path. Paths of the graph without an entry here were
 * screened out as underspecified or trivial (`get>place>list…` names its own answer).
 *   item: the item asked for, count and place: values the request states; other: a second item; `held`: the place of `item`.
 */
import type { PathName } from './graph.js';

export interface Binding {
  readonly item: string;
  readonly itemCount: number;
  /** The place that holds `item`, and nothing else. */
  readonly held: string;
  readonly other: string;
  readonly otherCount: number;
  readonly otherPlace: string;
  readonly count: number;
  readonly place: string;
  readonly fresh: string;
}

/** A support call: the tool and its arguments, counts as numbers. */
export type SupportCall = readonly [tool: string, ...values: (string | number)[]];

export interface Phrase {
  readonly request: (b: Binding) => string;
  readonly support: (b: Binding) => readonly SupportCall[];
  /** The initial state the path needs: an item already reserved. */
  readonly reserved?: boolean;
}

export const PHRASES: { readonly [path: PathName]: Phrase } = {
  add: { request: (b) => `add ${b.count} ${b.item}`, support: (b) => [['add', b.item, b.count]] },
  remove: { request: (b) => `remove ${b.count} ${b.item}`, support: (b) => [['remove', b.item, b.count]] },
  reserve: { request: (b) => `reserve ${b.count} ${b.item}`, support: (b) => [['reserve', b.item, b.count]] },
  move: { request: (b) => `move ${b.item} to ${b.place}`, support: (b) => [['move', b.item, b.place]] },
  rename: { request: (b) => `rename ${b.item} to ${b.fresh}`, support: (b) => [['rename', b.item, b.fresh]] },
  release: { request: (b) => `release ${b.item}`, support: (b) => [['release', b.item]], reserved: true },

  'reserve>reservation>ship': { request: (b) => `ship ${b.count} ${b.item}`, support: (b) => [['reserve', b.item, b.count], ['ship', b.item]] },
  'get>count>add': { request: (b) => `add count of ${b.other} to ${b.item}`, support: (b) => [['get', b.other], ['add', b.item, b.otherCount]] },
  'get>count>remove': { request: (b) => `remove all ${b.item}`, support: (b) => [['get', b.item], ['remove', b.item, b.itemCount]] },
  'get>count>reserve': { request: (b) => `reserve all ${b.item}`, support: (b) => [['get', b.item], ['reserve', b.item, b.itemCount]] },
  'get>place>move': { request: (b) => `move ${b.item} to place of ${b.other}`, support: (b) => [['get', b.other], ['move', b.item, b.otherPlace]] },
  'list>item>move': { request: (b) => `move item at ${b.held} to ${b.place}`, support: (b) => [['list', b.held], ['move', b.item, b.place]] },
  'list>item>rename': { request: (b) => `rename item at ${b.held} to ${b.fresh}`, support: (b) => [['list', b.held], ['rename', b.item, b.fresh]] },
  'list>item>add': { request: (b) => `add ${b.count} item at ${b.held}`, support: (b) => [['list', b.held], ['add', b.item, b.count]] },
  'list>item>remove': { request: (b) => `remove ${b.count} item at ${b.held}`, support: (b) => [['list', b.held], ['remove', b.item, b.count]] },
  'list>item>reserve': { request: (b) => `reserve ${b.count} item at ${b.held}`, support: (b) => [['list', b.held], ['reserve', b.item, b.count]] },
  'add>stock>reserve': { request: (b) => `add ${b.count} ${b.item} then reserve ${b.count}`, support: (b) => [['add', b.item, b.count], ['reserve', b.item, b.count]] },

  'get>count>reserve>reservation>ship': {
    request: (b) => `ship all ${b.item}`,
    support: (b) => [['get', b.item], ['reserve', b.item, b.itemCount], ['ship', b.item]],
  },
  'list>item>reserve>reservation>ship': {
    request: (b) => `ship ${b.count} item at ${b.held}`,
    support: (b) => [['list', b.held], ['reserve', b.item, b.count], ['ship', b.item]],
  },
  'add>stock>reserve>reservation>ship': {
    request: (b) => `add ${b.count} ${b.item} then ship ${b.count}`,
    support: (b) => [['add', b.item, b.count], ['reserve', b.item, b.count], ['ship', b.item]],
  },
  'list>item>get>count>add': {
    request: (b) => `add count of item at ${b.held} to ${b.other}`,
    support: (b) => [['list', b.held], ['get', b.item], ['add', b.other, b.itemCount]],
  },
  'list>item>get>count>remove': {
    request: (b) => `remove all item at ${b.held}`,
    support: (b) => [['list', b.held], ['get', b.item], ['remove', b.item, b.itemCount]],
  },
  'list>item>get>count>reserve': {
    request: (b) => `reserve all item at ${b.held}`,
    support: (b) => [['list', b.held], ['get', b.item], ['reserve', b.item, b.itemCount]],
  },
};

export const PHRASE_WORDS = ['do', 'add', 'remove', 'reserve', 'move', 'rename', 'release', 'ship', 'to', 'of', 'all', 'count', 'place', 'item', 'at', 'then'] as const;
