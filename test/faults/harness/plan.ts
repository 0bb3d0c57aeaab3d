/** What goes wrong in one trial: drawn from a seed and the facts of the undisturbed run, so that a seed names it for ever. */
import { diceOf, unit } from '../../support/random.js';

export const KINDS = [
  'kill -9', 'hang', 'restart loop', 'disk full', 'fsync error', 'slow network', 'dropping network', 'clock ahead', 'clock behind', 'power cut',
  'duplicate delivery', 'reordered delivery',
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
  /** Triggers contain none of these: after the last facts a run ends before a fault can show. */
  readonly tooLate: RegExp;
}

export function drawPlan({ seed, faults, susceptible, facts, tooLate }: Drawing): Plan {
  const dice = diceOf(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(unit(dice) * from.length)]!;
  const early = facts.filter((fact) => !tooLate.test(fact)).sort();
  const trigger = (after: RegExp | undefined): string => {
    const byType = TRIGGERS.map((type) => early.filter((fact) => fact.includes(` ${type} `) && after?.test(fact) !== false));
    return pick(pick(byType.filter((own) => own.length > 0)));
  };
  const all = Object.entries(susceptible).flatMap(([role, { kinds, after }]) => kinds.map((kind) => ({ role, kind, after })));
  // Walks through all pairs as seeds go on, so that each role meets each kind.
  const drawn = Array.from({ length: faults }, (_, index): Fault => {
    const { role, kind, after } = all[(seed * faults + index) % all.length]!;
    return { role, kind, after: trigger(after), draw: unit(dice) };
  });
  const order = new Map(facts.map((fact, index) => [fact, index]));
  return { seed, faults: drawn.sort((a, b) => (order.get(a.after) ?? 0) - (order.get(b.after) ?? 0)) };
}
