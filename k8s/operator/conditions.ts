/** Conditions: a type, whether it holds, and a named reason. The time is of the last change of status. Pure. */
import type { Condition } from './training-run.js';

export interface Finding {
  readonly type: string;
  readonly status: Condition['status'];
  readonly reason: string;
  readonly message: string;
}

export function finding(type: string, status: Condition['status'], reason: string, message: string): Finding {
  return { type, status, reason, message };
}

/** `findings` in their order; a condition that was there and is not found any more is left out. */
export function conditionsFrom(findings: readonly Finding[], before: readonly Condition[] | undefined, at: { readonly generation: number; readonly nowMs: number }): Condition[] {
  return findings.map((found) => {
    const last = before?.find(({ type }) => type === found.type);
    const lastTransitionTime = last?.status === found.status ? last.lastTransitionTime : new Date(at.nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
    return { ...found, lastTransitionTime, observedGeneration: at.generation };
  });
}

export interface Transition {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

const WARNINGS = new Set(['RecipeInvalid', 'RecipeNotFound', 'ConfigMapMissing', 'KeyMissing', 'FieldConflict', 'Refused', 'OverrideRefused', 'RunFailed', 'PoolLacksDomain', 'QueueMissing', 'KueueMissing', 'KueueCameLater', 'PausedElsewhere']);
/** Reasons that say only that nothing has happened. */
const QUIET = new Set(['InProgress', 'NotStarted', 'NotSuspended', 'NothingFailed', 'NotSubmitted', 'AsInRecipe', 'NotRunning']);

/** One for each condition whose reason changed, for people who run `kubectl describe`. */
export function transitions(before: readonly Condition[] | undefined, after: readonly Condition[]): Transition[] {
  return after.filter(({ type, reason }) => !QUIET.has(reason) && before?.find((each) => each.type === type)?.reason !== reason)
    .map(({ reason, message }) => ({ type: WARNINGS.has(reason) ? 'Warning' : 'Normal', reason, message }));
}
