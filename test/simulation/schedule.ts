/**
 * A schedule is what differs from the plain course of things: at these steps another operation went first than the oldest,
 * or something broke. All of it follows from a seed, and the list of what had an effect is enough to run it again, so a
 * failure can be cut down to the decisions that it needs.
 */
import { diceOf, unit } from '../support/random.js';

export const FAULTS = [
  'crash', 'hang', 'time-out', 'lose-result', 'lose-append', 'lose-acknowledgement', 'delay', 'duplicate', 'disk-full',
  'blob-away', 'kill-sidecar', 'lose-answer', 'clock', 'lose-workflow', 'corrupt-snapshot',
] as const;
/** What people ask of a run, at any point of it. */
export const REQUESTS = ['pause', 'resume', 'amend', 'stop'] as const;
export type FaultKind = (typeof FAULTS | typeof REQUESTS)[number];

/** `arg` chooses the target, modulo how many there are. */
export type Decision =
  | { readonly step: number; readonly kind: 'pick'; readonly arg: number }
  | { readonly step: number; readonly kind: FaultKind; readonly arg: number };

export interface Schedule {
  /** Asked once a step, in order. */
  at(step: number): readonly Decision[];
}

const MOST_FAULTS = 10;
/** What makes facts land late: claims that were given up among them, which is where a fence can fail. */
const LATE: readonly FaultKind[] = ['lose-acknowledgement', 'delay'];
/** How often a schedule may have a kind; the rest of a stopped run is not run. */
const KIND_RATES: { readonly [kind in FaultKind]?: number } = { pause: 0.2, resume: 0.1, amend: 0.15, stop: 0.08 };
const KIND_RATE = 0.4;
/** How often another operation than the oldest goes first. */
const PICK_RATES = [0, 0.05, 0.3, 1] as const;

/** `span`: steps of an undisturbed run; faults fall within it, each as soon as there is something it can break. */
export function scheduleOf(seed: number, span: number): Schedule {
  const dice = diceOf(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  const pickRate = PICK_RATES[dice() % PICK_RATES.length] ?? 0;
  // Few kinds at a time, so that rare combinations are not drowned by common ones.
  const late = dice() % 4 === 0;
  const kinds = [...FAULTS, ...REQUESTS].filter((kind) => (late ? LATE.includes(kind) : unit(dice) < (KIND_RATES[kind] ?? KIND_RATE)));
  const faults = new Map<number, Decision[]>();
  const count = kinds.length === 0 ? 0 : dice() % (MOST_FAULTS + 1);
  for (let i = 0; i < count; i += 1) {
    const step = Math.floor(unit(dice) * span);
    const decision: Decision = { step, kind: kinds[dice() % kinds.length]!, arg: dice() };
    faults.set(step, [...(faults.get(step) ?? []), decision]);
  }
  return {
    at(step) {
      const found = faults.get(step) ?? [];
      if (pickRate === 0 || unit(dice) >= pickRate) return found;
      return [...found, { step, kind: 'pick', arg: dice() }];
    },
  };
}

export function scheduleFrom(decisions: readonly Decision[]): Schedule {
  const byStep = new Map<number, Decision[]>();
  for (const decision of decisions) byStep.set(decision.step, [...(byStep.get(decision.step) ?? []), decision]);
  return { at: (step) => byStep.get(step) ?? [] };
}

/** The shortest part of `decisions` found that still fails: pieces are left out, ever smaller ones, as long as that helps. */
export async function shrink(decisions: readonly Decision[], fails: (part: readonly Decision[]) => Promise<boolean>): Promise<readonly Decision[]> {
  let rest = decisions;
  if (await fails([])) return [];
  for (let size = Math.ceil(rest.length / 2); size >= 1;) {
    let shorter = false;
    for (let from = 0; from < rest.length;) {
      const without = [...rest.slice(0, from), ...rest.slice(from + size)];
      if (await fails(without)) {
        rest = without;
        shorter = true;
      } else {
        from += size;
      }
    }
    if (size === 1 && !shorter) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return rest;
}
