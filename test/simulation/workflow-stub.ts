/** Stands in for @temporalio/workflow in a simulation: what the workflow code calls, over the simulated Temporal. */
import type { ActivityOptions } from '@temporalio/workflow';
import type { Temporal } from './temporal.js';

let current: { readonly temporal: Temporal; readonly run: string } | undefined;

/** One simulation at a time. */
export function setCurrent(temporal: Temporal, run: string): void {
  current = { temporal, run };
}

function simulation(): NonNullable<typeof current> {
  if (!current) throw new Error('no simulation runs');
  return current;
}

export function proxyActivities(options: ActivityOptions): unknown {
  return new Proxy({}, { get: (_, name) => (...args: unknown[]) => simulation().temporal.execute(options, String(name), args) });
}

/** Nobody pauses a simulated run: what a workflow waits for holds. */
export async function condition(holds: () => boolean): Promise<void> {
  if (!holds()) throw new Error('a workflow waits for what no one will do');
}

export async function startChild(workflow: (...args: unknown[]) => Promise<unknown>, { args }: { args: unknown[] }): Promise<object> {
  const result = workflow(...args);
  return { result: () => result, signal: async () => undefined };
}

export const sleep = (): Promise<void> => simulation().temporal.timer();
export const workflowInfo = (): object => ({ workflowId: simulation().run, continueAsNewSuggested: false });
export const allHandlersFinished = (): boolean => true;
export const isCancellation = (): boolean => false;
export class ContinueAsNew extends Error {}
export const continueAsNew = (): never => { throw new Error('a simulated history is never long'); };
export const CancellationScope = { nonCancellable: <T>(work: () => Promise<T>): Promise<T> => work() };
export const defineQuery = (name: string): object => ({ name });
export const defineSignal = defineQuery;
export const defineUpdate = defineQuery;
export const setHandler = (): void => undefined;
export const setCurrentDetails = (): void => undefined;
export const upsertSearchAttributes = (): void => undefined;
export const currentUpdateInfo = (): undefined => undefined;
export const log = { warn: (): void => undefined, info: (): void => undefined };
