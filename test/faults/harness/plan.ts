/** What goes wrong in one trial: drawn from a seed and the facts of the undisturbed run, so that a seed names it for ever. */
import { diceOf, unit } from '../../support/random.js';

export const KINDS = [
  'kill -9', 'hang', 'restart loop', 'disk full', 'fsync error', 'slow network', 'dropping network', 'clock ahead', 'clock behind', 'power cut',
  'duplicate delivery', 'reordered delivery', 'network loss',
] as const;
export type Kind = (typeof KINDS)[number];

export interface Fault {
  readonly role: string;
  readonly kind: Kind;
  /** Injected once this fact is acknowledged: an observed progress, no time. */
  readonly after: string;
  /** 0…1, for what the kind still has to choose. */
  readonly draw: number;
}

export interface Plan {
  readonly seed: number;
  /** In the order of the facts in the undisturbed run. */
  readonly faults: readonly Fault[];
}

/** Which kinds a system's roles can suffer, and after which facts: while they have work, and will have more. */
export type Susceptible = { readonly [role: string]: { readonly kinds: readonly Kind[]; readonly after?: RegExp } };

/** Facts worth a fault: between two of them lies a port call of every role. */
const TRIGGERS = ['stageStarted', 'datasetSealed', 'episodesRequested', 'turnSampled', 'episodeEnded', 'episodeScored', 'batchClosed', 'stepCommitted', 'evaluationFinished'];

export interface Drawing {
  readonly seed: number;
  readonly faults: number;
  readonly susceptible: Susceptible;
  /** Names of the undisturbed run's facts, in its order. */
  readonly facts: readonly string[];
  /** No trigger lies behind the first of these: a run may end before a fault can show. */
  readonly tooLate: RegExp;
  /** Of "role kind": only pairs that contain it. */
  readonly only?: string;
}

export function drawPlan({ seed, faults, susceptible, facts, tooLate, only = '' }: Drawing): Plan {
  const dice = diceOf(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(unit(dice) * from.length)]!;
  const late = facts.findIndex((fact) => tooLate.test(fact));
  const early = facts.slice(0, late < 0 ? facts.length : late).sort();
  const trigger = (after: RegExp | undefined): string => {
    const byType = TRIGGERS.map((type) => early.filter((fact) => fact.includes(` ${type} `) && after?.test(fact) !== false));
    return pick(pick(byType.filter((own) => own.length > 0)));
  };
  const all = Object.entries(susceptible).flatMap(([role, { kinds, after }]) => kinds.map((kind) => ({ role, kind, after })))
    .filter(({ role, kind }) => `${role} ${kind}`.includes(only));
  // Walks through all pairs as seeds go on, so that each role meets each kind; in strides, so that no trial strikes one role only.
  const stride = strideOver(all.length);
  const drawn = Array.from({ length: faults }, (_, index): Fault => {
    const { role, kind, after } = all[((seed * faults + index) * stride) % all.length]!;
    return { role, kind, after: trigger(after), draw: unit(dice) };
  });
  const order = new Map(facts.map((fact, index) => [fact, index]));
  return { seed, faults: drawn.sort((a, b) => (order.get(a.after) ?? 0) - (order.get(b.after) ?? 0)) };
}

/** Near the golden section of it, and without a common divisor: its multiples visit everything once before they repeat. */
function strideOver(length: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  let stride = Math.round(length * 0.618);
  while (divisor(stride, length) !== 1) stride += 1;
  return stride;
}
