/**
 * What the four domains share: the reducer over turns. A domain supplies tasks, a world that tool calls change,
 * a judge and an expert. The state is JSON, so an episode is rebuilt by folding its recorded turns.
 */
import type { ActionRecord, Domain, Environment, Json, Split, Task, Transition, Verdict } from '../core/environment.js';
import { StemmaError } from '../core/errors.js';
import { hashKey } from './random.js';
import type { Mixtures } from './settings.js';
import { formatTaskId, parseTaskId } from './task-key.js';
import type { KeySpace, TaskKey } from './task-key.js';
import { parseTurn, wordsOf } from './turn.js';

/** A call that reached a tool, accepted or refused. */
export type CallFact = { readonly name: string; readonly words: readonly string[]; readonly ok: boolean };

export type EpisodeState<World extends Json> = {
  readonly protocol: string;
  readonly turn: number;
  readonly done: boolean;
  /** Words of the final answer; null before it. */
  readonly answer: string | null;
  readonly calls: readonly CallFact[];
  /** What the model was shown, one entry a turn. */
  readonly observations: readonly string[];
  readonly world: World;
};

export interface CallOutcome<World extends Json> {
  readonly world: World;
  readonly observation: string;
  readonly ok: boolean;
  readonly arguments: Json;
  /** Corpus elements the call consulted, e.g. `page:amber harbor`. */
  readonly evidence: readonly string[];
  readonly verifier: ActionRecord['verifier'];
}

export interface Judgement {
  readonly correct: boolean;
  readonly formatOk: boolean;
  readonly rubrics: readonly boolean[];
  readonly fraction: number;
}

/** `Hidden` is what the task generator knows beyond the prompt; it is derived from the id, never stored. */
export interface DomainRules<Hidden extends { readonly prompt: string; readonly answer: string }, World extends Json> {
  readonly domain: Domain;
  /** Raised whenever tasks, tools or verifiers change meaning. */
  readonly revision: number;
  readonly settings: { readonly seed: number; readonly mixtures: Mixtures };
  readonly variants: readonly string[];
  /** Words that prompts, observations and experts may use. */
  readonly vocabulary: readonly string[];
  readonly tools: readonly string[];
  create(space: KeySpace, key: TaskKey): Hidden;
  world(hidden: Hidden, protocol: string): World;
  call(hidden: Hidden, state: EpisodeState<World>, call: { readonly name: string; readonly words: readonly string[] }): CallOutcome<World>;
  judge(hidden: Hidden, state: EpisodeState<World>): Judgement;
  expert(hidden: Hidden, style: string): readonly string[];
}

export interface DomainEnvironment extends Environment {
  readonly variants: readonly string[];
  readonly vocabulary: readonly string[];
}

export function makeEnvironment<H extends { readonly prompt: string; readonly answer: string }, W extends Json>(rules: DomainRules<H, W>): DomainEnvironment {
  const { domain, variants, settings } = rules;
  const space: KeySpace = { domain, variants, seed: settings.seed, mixtures: settings.mixtures };
  const hiddenOf = remember(REMEMBERED_TASKS, (id: string): H => rules.create(space, parseTaskId(space, id)));
  const start = (task: Task, protocol: string): EpisodeState<W> => ({
    protocol, turn: 0, done: false, answer: null, calls: [], observations: [], world: rules.world(hiddenOf(task.id), protocol),
  });
  const step = (task: Task, state: Json, action: string) => stepEpisode(rules, hiddenOf(task.id), state as EpisodeState<W>, action);
  const verify = (task: Task, state: Json): Verdict => verdictOf(rules, hiddenOf(task.id), state as EpisodeState<W>);
  return {
    domain, variants, resumable: true,
    version: `${domain}/${rules.revision}/${hashKey(JSON.stringify(settings))[0].toString(16).padStart(8, '0')}`,
    vocabulary: rules.vocabulary,
    taskId: (split: Split, index: number, variant: string) => formatTaskId(space, split, index, variant),
    task: (id) => {
      const hidden = hiddenOf(id);
      return { id, domain, prompt: [{ role: 'user', content: hidden.prompt }], answer: hidden.answer };
    },
    start, step, verify,
    demonstrate: (task, style) => {
      const turns = rules.expert(hiddenOf(task.id), style);
      const final = turns.reduce<Json>((state, turn) => step(task, state, turn).state, start(task, ''));
      if (verify(task, final).correct) return turns;
      throw new StemmaError('environment', 'INVALID', `the expert of ${domain} fails its own task ${task.id}`, 'Report this task id: generator and verifier disagree.');
    },
  };
}

const REMEMBERED_TASKS = 4096;

/** Tasks are pure functions of their ids, so a cache changes nothing but the time; it is emptied when full. */
function remember<T>(limit: number, make: (id: string) => T): (id: string) => T {
  const made = new Map<string, T>();
  return (id) => {
    const known = made.get(id);
    if (known !== undefined) return known;
    if (made.size >= limit) made.clear();
    const fresh = make(id);
    made.set(id, fresh);
    return fresh;
  };
}

/** (state, action) → (state, observation). A finished episode does not change any more. */
function stepEpisode<H extends { readonly prompt: string; readonly answer: string }, W extends Json>(
  rules: DomainRules<H, W>, hidden: H, state: EpisodeState<W>, action: string,
): Transition<EpisodeState<W>> {
  if (state.done) return { state, done: true, record: invalidRecord('error one answer') };
  const turn = parseTurn(action);
  if (turn.kind === 'invalid') return observe(state, state.world, invalidRecord(turn.problem));
  if (turn.kind === 'answer') return finish(rules, hidden, state, turn.words);
  if (!rules.tools.includes(turn.name)) return observe(state, state.world, invalidRecord('error unknown tool', turn.name, turn.words));
  const outcome = rules.call(hidden, state, turn);
  const fact: CallFact = { name: turn.name, words: turn.words, ok: outcome.ok };
  return observe({ ...state, calls: [...state.calls, fact] }, outcome.world, {
    state: [...sourcesOf(hidden.prompt, state.observations, turn.words), ...outcome.evidence],
    action: { kind: 'tool', name: turn.name, arguments: outcome.arguments },
    observation: outcome.observation,
    verifier: outcome.verifier,
  });
}

function observe<W extends Json>(state: EpisodeState<W>, world: W, record: ActionRecord): Transition<EpisodeState<W>> {
  const next = { ...state, world, turn: state.turn + 1, observations: [...state.observations, record.observation] };
  return { state: next, observation: record.observation, done: false, record };
}

function finish<H extends { readonly prompt: string; readonly answer: string }, W extends Json>(
  rules: DomainRules<H, W>, hidden: H, state: EpisodeState<W>, words: readonly string[],
): Transition<EpisodeState<W>> {
  const answer = words.join(' ');
  const next = { ...state, done: true, answer, turn: state.turn + 1 };
  const { correct } = rules.judge(hidden, next);
  return {
    state: next, done: true,
    record: {
      state: sourcesOf(hidden.prompt, state.observations, words),
      action: { kind: 'answer', name: 'answer', arguments: answer },
      observation: '',
      verifier: { name: 'outcome', passed: correct },
    },
  };
}

function verdictOf<H extends { readonly prompt: string; readonly answer: string }, W extends Json>(
  rules: DomainRules<H, W>, hidden: H, state: EpisodeState<W>,
): Verdict {
  return {
    ...rules.judge(hidden, state),
    answer: state.answer ?? '',
    // One call a turn, so rounds and calls are the same number.
    rounds: state.calls.length,
    callKeys: state.calls.map(callKey),
  };
}

/** Trimmed, case-folded, single spaces: the repetition penalty compares these. */
export function callKey(call: { readonly name: string; readonly words: readonly string[] }): string {
  return [call.name, ...call.words].join(' ').toLowerCase();
}

/** Where an action's words came from: the latest observation that has the word, else the prompt. */
function sourcesOf(prompt: string, observations: readonly string[], words: readonly string[]): string[] {
  const texts = [prompt, ...observations].map(wordsOf);
  const found = new Set<number>();
  for (const word of words) {
    let at = texts.length - 1;
    while (at >= 0 && !(texts[at] as string[]).includes(word)) at--;
    if (at >= 0) found.add(at);
  }
  return [...found].sort((a, b) => a - b).map((at) => (at === 0 ? 'task' : `turn:${at - 1}`));
}

function invalidRecord(observation: string, name = '', words: readonly string[] = []): ActionRecord {
  return { state: [], action: { kind: 'invalid', name, arguments: words }, observation, verifier: { name: 'grammar', passed: false } };
}
