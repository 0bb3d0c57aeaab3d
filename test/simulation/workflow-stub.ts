/** Stands in for @temporalio/workflow in a simulation: what the workflow code calls, over the simulated Temporal. */
import { CancelledFailure } from '@temporalio/common';
import type { ActivityOptions } from '@temporalio/workflow';
import type { Temporal } from './temporal.js';
import type { ControlAnswer } from '../../workflows/messages.js';

type Handler = (...args: unknown[]) => unknown;

interface Child {
  handler?: Handler;
  readonly early: unknown[];
}

interface Update {
  readonly handler: Handler;
  readonly validator?: Handler;
}

interface Workflow {
  readonly temporal: Temporal;
  readonly run: string;
  readonly updates: Map<string, Update>;
  readonly waiting: Set<{ readonly holds: () => boolean; readonly resolve: () => void }>;
  child: Child | undefined;
  scope: CancellationScope | undefined;
  /** Of the update whose handler starts now. */
  updateId: string;
}

let current: Workflow | undefined;

/** A workflow starts, or starts over: of the one before nothing is left. One simulation at a time. */
export function setCurrent(temporal: Temporal, run: string): void {
  current = { temporal, run, updates: new Map(), waiting: new Set(), child: undefined, scope: undefined, updateId: '' };
}

function simulation(): Workflow {
  if (!current) throw new Error('no simulation runs');
  return current;
}

/** What a person asks of the run; undefined where it is refused, or the workflow has not come so far. */
export function update(name: string, id: string, input: unknown): Promise<ControlAnswer> | undefined {
  const workflow = simulation();
  const asked = workflow.updates.get(name);
  if (!asked) return undefined;
  try {
    asked.validator?.(input);
  } catch {
    return undefined;
  }
  workflow.updateId = id;
  return asked.handler(input) as Promise<ControlAnswer>;
}

/** True if a wait is over. */
export function checkConditions(): boolean {
  const met = [...simulation().waiting].filter(({ holds }) => holds());
  for (const wait of met) {
    simulation().waiting.delete(wait);
    wait.resolve();
  }
  return met.length > 0;
}

export function proxyActivities(options: ActivityOptions): unknown {
  return new Proxy({}, { get: (_, name) => (...args: unknown[]) => simulation().temporal.execute(options, String(name), args, name === 'standRollouts' ? simulation().scope : undefined) });
}

export async function condition(holds: () => boolean): Promise<void> {
  if (holds()) return;
  const { waiting } = simulation();
  await new Promise<void>((resolve) => waiting.add({ holds, resolve }));
}

export async function startChild(workflow: (...args: unknown[]) => Promise<unknown>, { args }: { args: unknown[] }): Promise<object> {
  const child: Child = { early: [] };
  simulation().child = child;
  const result = workflow(...args);
  result.catch(() => undefined);
  const signal = async (_name: unknown, value: unknown): Promise<void> => void (child.handler ? child.handler(value) : child.early.push(value));
  return { result: () => result, signal };
}

/** Of activities started inside: here only standing rollouts, of the newest scope. */
export class CancellationScope {
  static nonCancellable<T>(work: () => Promise<T>): Promise<T> { return work(); }
  cancelled = false;

  run<T>(work: () => Promise<T>): Promise<T> {
    simulation().scope = this;
    return work();
  }

  cancel(): void {
    this.cancelled = true;
    simulation().temporal.cancel(this);
  }
}

export function setHandler(definition: { readonly name: string }, handler: Handler, options: { readonly validator?: Handler } = {}): void {
  const { child, updates } = simulation();
  if (definition.name !== 'control') {
    updates.set(definition.name, { handler, ...options });
    return;
  }
  child!.handler = handler;
  for (const value of child!.early.splice(0)) handler(value);
}

export const sleep = (): Promise<void> => simulation().temporal.timer();
export const workflowInfo = (): object => ({ workflowId: simulation().run, continueAsNewSuggested: false });
export const allHandlersFinished = (): boolean => true;
export const isCancellation = (error: unknown): boolean => error instanceof CancelledFailure;
export class ContinueAsNew extends Error {}
export const continueAsNew = (): never => { throw new Error('a simulated history is never long'); };
export const defineQuery = (name: string): { readonly name: string } => ({ name });
export const defineSignal = defineQuery;
export const defineUpdate = defineQuery;
export const setCurrentDetails = (): void => undefined;
export const upsertSearchAttributes = (): void => undefined;
export const patched = (): boolean => true;
export const getExternalWorkflowHandle = (): object => ({ signal: async (): Promise<void> => undefined });
export const currentUpdateInfo = (): object => ({ id: simulation().updateId });
export const log = { warn: (): void => undefined, info: (): void => undefined };
