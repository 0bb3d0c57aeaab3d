/** What to tell a run so that it does what its spec says, and which pods that takes. Pure. */
import type { PodsWanted } from './desired.js';
import { amendments, type Amendment, type FrozenRecipe } from './overrides.js';
import type { Progress } from './run-gateway.js';
import type { Demand } from './replicas.js';
import { conditionOf, hasEnded, type AppliedOverride, type TrainingRun } from './training-run.js';

export type Order =
  | { readonly kind: 'submit' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'amend'; readonly amendment: Amendment };

export function wasSubmitted(run: TrainingRun): boolean {
  return conditionOf(run, 'Submitted')?.status === 'True';
}

export function isSuspended(run: TrainingRun): boolean {
  return conditionOf(run, 'Suspended')?.reason === 'Suspended';
}

/** Whether the pause is this operator's: written into the status before the run is told. */
export function pausedByUs(run: TrainingRun): boolean {
  return ['Suspending', 'Suspended', 'Resuming'].includes(conditionOf(run, 'Suspended')?.reason ?? '');
}

/** `teachersReady`: nothing starts before them; later they may come and go. */
export function podsWanted(run: TrainingRun, teachersReady: boolean, nowMs: number): PodsWanted {
  const { suspend, embedded, retention } = run.spec;
  if (hasEnded(run)) return { computing: false, steering: nowMs < podsUntilMs(run.status?.endedAt, retention.podsAfterEndSeconds) };
  const submitted = wasSubmitted(run);
  if (!submitted && (suspend || !teachersReady)) return { computing: false, steering: false };
  if (suspend && isSuspended(run)) return { computing: false, steering: !embedded };
  return { computing: true, steering: true };
}

export function podsUntilMs(endedAt: string | undefined, seconds: number): number {
  return endedAt === undefined ? Infinity : Date.parse(endedAt) + seconds * 1000;
}

/** `progress` null: the gateway knows of no such run. */
export function ordersFor(run: TrainingRun, frozen: FrozenRecipe, progress: Progress | null, inForce: readonly AppliedOverride[]): Order[] {
  if (progress === null) return run.spec.suspend ? [] : [{ kind: 'submit' }];
  if (!['submitted', 'running', 'paused'].includes(progress.status)) return [];
  return [...amendOrders(run, frozen, inForce), ...pauseOrders(run, progress)];
}

function pauseOrders(run: TrainingRun, { status }: Progress): Order[] {
  if (run.spec.suspend) return status !== 'paused' && pausedByUs(run) ? [{ kind: 'pause' }] : [];
  return status === 'paused' && pausedByUs(run) ? [{ kind: 'resume' }] : [];
}

/** What was refused is not asked again until the spec changes. */
function amendOrders(run: TrainingRun, frozen: FrozenRecipe, inForce: readonly AppliedOverride[]): Order[] {
  const last = conditionOf(run, 'Amended');
  if (last?.reason === 'OverrideRefused' && last.observedGeneration === run.metadata.generation) return [];
  return amendments(frozen, run.spec.overrides, inForce).map((amendment) => ({ kind: 'amend', amendment }));
}

/** The same for the same wish: a run that is told twice has one fact. */
export function updateIdOf(run: TrainingRun, order: Order | { readonly kind: 'stop' }): string {
  const { uid, generation } = run.metadata;
  const of = (what: string): string => `kubernetes/${uid}/${generation}/${what}`;
  switch (order.kind) {
    case 'amend': return of(`amend/${order.amendment.stage}/${order.amendment.path}`);
    // Where someone resumed it meanwhile, a pause of the same generation is another wish.
    case 'pause': case 'resume': return of(`${order.kind}/${conditionOf(run, 'Suspended')?.lastTransitionTime}`);
    default: return of(order.kind);
  }
}

/** Episodes of open steps: what the rollouts have before them. Scored are those of stages with teachers or reference models. */
export function demandOf({ stages }: Progress): Demand {
  const open = stages.filter(({ status }) => status === 'running');
  const owed = (of: Progress['stages']): number => of.reduce((sum, { episodes }) => sum + episodes.owed, 0);
  return { episodes: owed(open), scored: owed(open.filter(({ kind }) => kind !== 'sft')) };
}
