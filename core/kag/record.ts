/**
 * Knowledge-action graph of one episode: its records (s_t, a_t, o_t, v_t), linked.
 *
 *   G_d = (C_d, A_d, O_d, V_d)        s_t ⊆ C_d ∪ O_{<t},  a_t ∈ A_d,  o_t ∈ O_d,  v_t ∈ V_d ∪ {⊥}
 *
 *   support            c ∈ C_d → a_t         the action builds on evidence of the corpus, or on the task
 *   dependency         o_j → a_t, j < t      the action builds on what an earlier action showed
 *   production         a_t → o_t
 *   verification       o_t → v_t             (a_t → v_t where the action shows nothing, as an answer does)
 *   action-transition  a_t → a_{t+1}
 *
 * Failed episodes are linked like successful ones: credit assignment needs both.
 * Equation: Agents-A1 (arXiv 2606.30616) eq. 1.
 */
import type { ActionRecord } from '../environment.js';
import { StemmaError } from '../errors.js';

export type KagNodeKind = 'evidence' | 'action' | 'observation' | 'verification';
export type KagEdgeKind = 'support' | 'dependency' | 'production' | 'verification' | 'action-transition';

export interface KagNode {
  /** Evidence: its id in the corpus. Others: `<episode>/turn:<t>/<kind>`; the task: `<episode>/task`. */
  readonly id: string;
  readonly kind: KagNodeKind;
  /** Action name, observation text, or "<verifier> passed|failed". */
  readonly label: string;
}

export interface KagEdge {
  readonly kind: KagEdgeKind;
  readonly from: string;
  readonly to: string;
}

export interface KagGraph {
  readonly nodes: readonly KagNode[];
  readonly edges: readonly KagEdge[];
}

/** `records[t]` is turn t. Throws INVALID where a record builds on its own turn or a later one. */
export function linkRecords(episodeId: string, records: readonly ActionRecord[]): KagGraph {
  const nodes = new Map<string, KagNode>();
  const edges: KagEdge[] = [];
  records.forEach((record, turn) => {
    for (const node of turnNodes(episodeId, record, turn)) nodes.set(node.id, node);
    for (const edge of turnEdges(episodeId, record, turn)) edges.push(edge);
  });
  return { nodes: [...nodes.values()], edges };
}

/** The turn that an entry of `ActionRecord.state` names, "turn:3"; undefined for evidence and the task. */
export function turnOf(source: string): number | undefined {
  const match = /^turn:(\d+)$/.exec(source);
  return match ? Number(match[1]) : undefined;
}

/** Whether the action builds on what an earlier one showed. */
export function isDependent(record: ActionRecord): boolean {
  return record.state.some((source) => turnOf(source) !== undefined);
}

function nodeId(episodeId: string, turn: number, kind: Exclude<KagNodeKind, 'evidence'>): string {
  return `${episodeId}/turn:${turn}/${kind}`;
}

function turnNodes(episodeId: string, record: ActionRecord, turn: number): KagNode[] {
  const { action, observation, verifier } = record;
  const evidence = record.state.filter((source) => turnOf(source) === undefined)
    .map((source): KagNode => ({ id: evidenceId(episodeId, source), kind: 'evidence', label: source }));
  const result: KagNode[] = [...evidence, { id: nodeId(episodeId, turn, 'action'), kind: 'action', label: action.name || action.kind }];
  if (observation !== '') result.push({ id: nodeId(episodeId, turn, 'observation'), kind: 'observation', label: observation });
  if (verifier) {
    result.push({ id: nodeId(episodeId, turn, 'verification'), kind: 'verification', label: `${verifier.name} ${verifier.passed ? 'passed' : 'failed'}` });
  }
  return result;
}

function turnEdges(episodeId: string, record: ActionRecord, turn: number): KagEdge[] {
  const action = nodeId(episodeId, turn, 'action');
  const observation = nodeId(episodeId, turn, 'observation');
  const result: KagEdge[] = [...new Set(record.state)].map((source) => sourceEdge(episodeId, source, turn));
  if (turn > 0) result.push({ kind: 'action-transition', from: nodeId(episodeId, turn - 1, 'action'), to: action });
  if (record.observation !== '') result.push({ kind: 'production', from: action, to: observation });
  if (record.verifier) {
    result.push({ kind: 'verification', from: record.observation === '' ? action : observation, to: nodeId(episodeId, turn, 'verification') });
  }
  return result;
}

function sourceEdge(episodeId: string, source: string, turn: number): KagEdge {
  const to = nodeId(episodeId, turn, 'action');
  const earlier = turnOf(source);
  if (earlier === undefined) return { kind: 'support', from: evidenceId(episodeId, source), to };
  if (earlier < turn) return { kind: 'dependency', from: nodeId(episodeId, earlier, 'observation'), to };
  throw new StemmaError('environment', 'INVALID', `turn ${turn} of episode ${episodeId} builds on turn ${earlier}, which had not happened`,
    'The domain must name only earlier turns in a record\'s state: fix its reducer.');
}

/** Evidence is one node for all episodes of a corpus; a task is a node of its episode. */
function evidenceId(episodeId: string, source: string): string {
  return source === 'task' ? `${episodeId}/task` : source;
}
