/**
 * The tool-interaction graph: nodes are tools, an edge says that one tool gives what another needs (an argument or a
 * precondition). Tasks are dependency paths of one to three calls that end in a change of state.
 */
import { TOOLS } from './inventory.js';
import type { ToolName } from './inventory.js';

/** Argument values that observations carry, and states that preconditions ask for. */
export type Resource = 'item' | 'count' | 'place' | 'stock' | 'reservation';

export interface Edge {
  readonly from: ToolName;
  readonly to: ToolName;
  readonly via: Resource;
}

const GIVES: { readonly [N in ToolName]?: readonly Resource[] } = {
  list: ['item'],
  get: ['count', 'place'],
  add: ['stock'],
  reserve: ['reservation'],
};

const PRECONDITIONS: { readonly [N in ToolName]?: readonly Resource[] } = {
  remove: ['stock'],
  reserve: ['stock'],
  ship: ['reservation'],
  release: ['reservation'],
};

export const TOOL_EDGES: readonly Edge[] = toolNames().flatMap((from) =>
  toolNames().flatMap((to) => (GIVES[from] ?? []).filter((via) => from !== to && needs(to).includes(via)).map((via): Edge => ({ from, to, via }))),
);

/** `get>count>add`: tools and the resource that ties each to the next. */
export type PathName = string;

/** Every dependency path of `length` calls whose last call changes state; a tool stands in a path once. */
export function dependencyPaths(length: number): PathName[] {
  const ending = toolNames().filter((name) => TOOLS[name].mutates);
  let paths: { readonly first: ToolName; readonly tools: readonly ToolName[]; readonly name: PathName }[] =
    ending.map((name) => ({ first: name, tools: [name], name }));
  for (let i = 1; i < length; i++) {
    paths = paths.flatMap((path) => TOOL_EDGES
      .filter((edge) => edge.to === path.first && !path.tools.includes(edge.from))
      .map((edge) => ({ first: edge.from, tools: [edge.from, ...path.tools], name: `${edge.from}>${edge.via}>${path.name}` })));
  }
  return paths.map((path) => path.name);
}

export function toolsOfPath(path: PathName): ToolName[] {
  return path.split('>').filter((_, i) => i % 2 === 0) as ToolName[];
}

function needs(name: ToolName): readonly Resource[] {
  return [...TOOLS[name].parameters.filter((type): type is 'item' | 'count' | 'place' => type !== 'name'), ...(PRECONDITIONS[name] ?? [])];
}

function toolNames(): ToolName[] {
  return Object.keys(TOOLS) as ToolName[];
}
