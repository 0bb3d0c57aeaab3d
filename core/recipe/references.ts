/**
 * Which stage builds on which. A recipe's references (`init`, `reference`, `dataset.model`, `teachers`)
 * must form an acyclic graph that stage order already sorts: a stage refers to 'base' or to earlier stages only.
 *
 * The graph is read tolerantly from unparsed data, so that a recipe with wrong types elsewhere
 * still has its references checked and everything is reported at once.
 */
import type { Problem } from './problems.js';

export const BASE = 'base';
export const NO_TEACHER = 'none';

/** One mention of a stage: `path` is where it stands. */
interface Mention {
  readonly path: string;
  readonly target: string;
}

interface StageNode {
  readonly id: string;
  readonly path: string;
  readonly kind: string;
  readonly mentions: readonly Mention[];
}

export interface StageGraph {
  readonly stages: readonly StageNode[];
  readonly teachers: readonly Mention[];
}

type Loose = { readonly [key: string]: unknown };

function loose(value: unknown): Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Loose) : {};
}

function stageMentions(stage: Loose, path: string): Mention[] {
  const candidates: readonly [string, unknown][] = [
    [`${path}.init`, stage['init']],
    [`${path}.reference`, stage['reference']],
    [`${path}.dataset.model`, loose(stage['dataset'])['model']],
  ];
  return candidates.flatMap(([at, target]) => (typeof target === 'string' ? [{ path: at, target }] : []));
}

/** Reads what is there and skips what has another type: the schema reports that. */
export function stageGraphOf(raw: unknown): StageGraph {
  const recipe = loose(raw);
  const list = Array.isArray(recipe['stages']) ? (recipe['stages'] as readonly unknown[]) : [];
  const stages = list.flatMap((entry, index) => {
    const stage = loose(entry);
    const path = `stages[${index}]`;
    if (typeof stage['id'] !== 'string') return [];
    return [{ id: stage['id'], path, kind: String(stage['kind']), mentions: stageMentions(stage, path) }];
  });
  const teachers = Object.entries(loose(recipe['teachers'])).flatMap(([domain, target]) =>
    typeof target === 'string' ? [{ path: `teachers.${domain}`, target }] : []);
  return { stages, teachers };
}

/** Edges stage → what it needs; a distill stage needs every teacher. */
function needsOf(graph: StageGraph, stage: StageNode): readonly string[] {
  const teachers = stage.kind === 'distill' ? graph.teachers.map((mention) => mention.target) : [];
  return [...stage.mentions.map((mention) => mention.target), ...teachers].filter((target) => target !== BASE && target !== NO_TEACHER);
}

/** The first cycle through `start`, as ids from start back to start; null if there is none. */
function cycleThrough(graph: StageGraph, start: StageNode): readonly string[] | null {
  const byId = new Map(graph.stages.map((stage) => [stage.id, stage]));
  const seen = new Set<string>();
  const walk = (stage: StageNode, trail: readonly string[]): readonly string[] | null => {
    for (const need of needsOf(graph, stage)) {
      if (need === start.id) return [...trail, need];
      const next = byId.get(need);
      if (next === undefined || seen.has(need)) continue;
      seen.add(need);
      const found = walk(next, [...trail, need]);
      if (found !== null) return found;
    }
    return null;
  };
  return walk(start, [start.id]);
}

function cycleProblems(graph: StageGraph): { problems: Problem[]; members: Set<string> } {
  const problems: Problem[] = [];
  const members = new Set<string>();
  for (const stage of graph.stages) {
    if (members.has(stage.id)) continue;
    const cycle = cycleThrough(graph, stage);
    if (cycle === null) continue;
    for (const id of cycle) members.add(id);
    problems.push({ path: stage.path, reason: `a cycle of references: ${cycle.join(' → ')}; a stage may build on 'base' and on earlier stages only` });
  }
  return { problems, members };
}

function mentionProblem(graph: StageGraph, index: number, mention: Mention): Problem | null {
  if (mention.target === BASE) return null;
  const at = graph.stages.findIndex((stage) => stage.id === mention.target);
  if (at === -1) return { path: mention.path, reason: `no stage has the id '${mention.target}'; known: ${knownIds(graph)}` };
  if (at < index) return null;
  return { path: mention.path, reason: `'${mention.target}' comes later; a stage may refer to 'base' and to earlier stages only` };
}

function knownIds(graph: StageGraph): string {
  return [BASE, ...graph.stages.map((stage) => stage.id)].join(', ');
}

function duplicateProblems(graph: StageGraph): Problem[] {
  return graph.stages.flatMap((stage, index) => {
    const first = graph.stages.findIndex((other) => other.id === stage.id);
    if (first < index) return [{ path: `${stage.path}.id`, reason: `'${stage.id}' is already the id of stages[${first}]` }];
    return stage.id === BASE || stage.id === NO_TEACHER ? [{ path: `${stage.path}.id`, reason: `'${stage.id}' is a reserved word` }] : [];
  });
}

function teacherProblems(graph: StageGraph): Problem[] {
  const firstDistill = graph.stages.findIndex((stage) => stage.kind === 'distill');
  const end = firstDistill === -1 ? graph.stages.length : firstDistill;
  return graph.teachers.flatMap((mention) => {
    if (mention.target === NO_TEACHER) return [];
    if (mention.target === BASE) return [{ path: mention.path, reason: `'base' is no stage; name the stage whose result teaches, or 'none'` }];
    const problem = mentionProblem(graph, end, mention);
    return problem === null ? [] : [problem];
  });
}

/** Every problem with ids and references: duplicates, unknown targets, cycles, forward references. */
export function referenceProblems(graph: StageGraph): Problem[] {
  const { problems: cycles, members } = cycleProblems(graph);
  // Inside a cycle some reference must point forward: the cycle is the better message.
  const inCycle = (owner: string, target: string): boolean => members.has(owner) && members.has(target);
  const mentions = graph.stages.flatMap((stage, index) =>
    stage.mentions.flatMap((mention) => {
      if (inCycle(stage.id, mention.target)) return [];
      const problem = mentionProblem(graph, index, mention);
      return problem === null ? [] : [problem];
    }));
  const teachers = members.size > 0 ? teacherProblems(graph).filter((problem) => problem.reason.startsWith('no stage')) : teacherProblems(graph);
  return [...duplicateProblems(graph), ...cycles, ...mentions, ...teachers];
}
