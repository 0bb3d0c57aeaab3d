/**
 * What a domain is: tasks made by code from a corpus and a seed, a reducer that answers actions,
 * and a verifier. Everything here is pure: state is rebuilt on resume by folding the episode.
 */

export const DOMAINS = ['search', 'science', 'instruction', 'tools'] as const;
export type Domain = (typeof DOMAINS)[number];

/** Disjoint by construction: a task's index range and content space belong to one split. */
export type Split = 'train' | 'evaluate';

/** JSON all the way down. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface ToolCall {
  readonly name: string;
  readonly arguments: Json;
}

export interface Message {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly toolCalls?: readonly ToolCall[];
}

export interface Task {
  /** A pure function of (corpus, id): everything else here is derived from it. */
  readonly id: string;
  readonly domain: Domain;
  readonly prompt: readonly Message[];
  /** What the verifier compares with; never shown to the model. */
  readonly answer: string;
}

/** Knowledge-action record (s_t, a_t, o_t, v_t) of one turn: paper eq. 1; core/kag/record.ts links them. */
export interface ActionRecord {
  /** Ids of the evidence or earlier records the action builds on. */
  readonly state: readonly string[];
  readonly action: { readonly kind: 'tool' | 'answer' | 'invalid'; readonly name: string; readonly arguments: Json };
  readonly observation: string;
  /** null where no step-level verifier fires (⊥). */
  readonly verifier: { readonly name: string; readonly passed: boolean } | null;
}

export interface Transition<State extends Json = Json> {
  readonly state: State;
  /** Shown to the model as a tool message; absent when the episode is over. */
  readonly observation?: string;
  readonly done: boolean;
  readonly record: ActionRecord;
}

/** What happened, as facts; core/reward turns facts into numbers. */
export interface Verdict {
  readonly correct: boolean;
  /** The final answer could be parsed in the expected form. */
  readonly formatOk: boolean;
  readonly answer: string;
  /** Process rubrics in order; empty where the domain has none. */
  readonly rubrics: readonly boolean[];
  /** Assistant turns that called at least one tool. */
  readonly rounds: number;
  /** Tool-call keys in order, normalised, for the repetition penalty. */
  readonly callKeys: readonly string[];
  /** Share of constraints met, where the domain grades by constraint; else 0 or 1. */
  readonly fraction: number;
}

export interface Environment {
  readonly domain: Domain;
  /** Frozen in the manifest. */
  readonly version: string;
  /** False: an interrupted attempt is aborted instead of resumed. */
  readonly resumable: boolean;
  /** Variants name difficulty levels or sub-tasks ('' is the recipe's default mixture). */
  taskId(split: Split, index: number, variant: string): string;
  task(id: string): Task;
  start(task: Task, protocol: string): Json;
  /** `action` is the decoded assistant turn without its end-of-turn token. */
  step(task: Task, state: Json, action: string): Transition;
  verify(task: Task, state: Json): Verdict;
  /** An expert's assistant turns, found by acting in the environment; `style` e.g. 'tool' or 'no-tools'. */
  demonstrate(task: Task, style: string): readonly string[];
}
