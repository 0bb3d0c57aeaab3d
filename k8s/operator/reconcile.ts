/**
 * One look at one TrainingRun: read → desired (pure) → apply → steer → status (pure), patched only if it changed. It starts from
 * what is there, never from what happened before, so it may end at any line and be done again by another process.
 */
import { isDeepStrictEqual } from 'node:util';
import { StemmaError } from '../../core/errors.js';
import { isRefusal } from './api.js';
import type { Applier } from './applier.js';
import { transitions } from './conditions.js';
import { desiredObjects, MANAGED_BY, recipeConfigMapName, type PodsWanted } from './desired.js';
import { drainedStatus, FINALIZER, hasStopped, LOOK_EVERY_MS, mustStop, remove, removeAll, setFinalizers } from './drain.js';
import { recordTransition, type EventDeps } from './events.js';
import type { GatewayKeys } from './gateway-key.js';
import { queueOfRun, type Queue, type Queues } from './kueue.js';
import { bakedInForce, withAmendment, type FrozenRecipe } from './overrides.js';
import type { Owned } from './owned.js';
import { resolveRecipe, type ParsedRecipes, type Resolution } from './recipe.js';
import { nextReplicas } from './replicas.js';
import { kindKeyOf, pathOf } from './resources.js';
import type { RunGateway, RunGateways } from './run-gateway.js';
import { statusOf, type Contact, type Observed } from './status.js';
import { demandOf, ordersFor, podsUntilMs, podsWanted, updateIdOf, type Order } from './steering.js';
import { domainsWithoutTeacher } from './teachers.js';
import { hasEnded, runIdOf, type AppliedOverride, type Teacher, type TrainingRun, type TrainingRunStatus } from './training-run.js';

export interface ReconcileDeps extends EventDeps {
  readonly applier: Applier;
  readonly recipes: ParsedRecipes;
  readonly owned: Owned;
  readonly gateways: RunGateways;
  readonly keys: GatewayKeys;
  readonly queues: Queues;
  readonly teachers: () => Iterable<Teacher>;
  /** For runs that name none. */
  readonly image: string;
  readonly operatorNamespace: string;
  /** host:port of a run's gateway. */
  readonly gatewayAddress: (run: TrainingRun) => string;
  /** Where the pods find the recipe. */
  readonly recipePath: (run: TrainingRun) => string;
  /** Between looks at a run that goes on. */
  readonly lookEveryMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Resolves to when to look again without having been told of a change; null: never. */
export async function reconcileRun(deps: ReconcileDeps, run: TrainingRun): Promise<number | null> {
  if (run.metadata.deletionTimestamp !== undefined) return leave(deps, run);
  if (!run.metadata.finalizers?.includes(FINALIZER)) {
    await setFinalizers(deps.api, run, [...(run.metadata.finalizers ?? []), FINALIZER]);
    // Its new version comes by the watch.
    return null;
  }
  const { metadata: { namespace = '' } } = run;
  const resolution = await resolveRecipe(deps, run, deps.owned.get('ConfigMap', namespace, recipeConfigMapName(run)));
  return resolution.kind === 'frozen' ? proceed(deps, run, resolution) : wait(deps, run, resolution);
}

/** Without a recipe there is nothing to do but say so; a ConfigMap may still come. */
async function wait(deps: ReconcileDeps, run: TrainingRun, resolution: Resolution & { readonly kind: 'unresolved' }): Promise<number | null> {
  const nowMs = deps.now();
  const replicas = nextReplicas(run.spec.roles, run.status?.replicas, undefined, nowMs);
  await patchStatus(deps, run, { resolution, contact: { kind: 'not-asked' }, overrides: run.status?.overrides ?? [], replicas, nowMs });
  return resolution.reason === 'ConfigMapMissing' || resolution.reason === 'KeyMissing' ? deps.lookEveryMs : null;
}

async function proceed(deps: ReconcileDeps, run: TrainingRun, resolution: Resolution & { readonly kind: 'frozen' }): Promise<number | null> {
  const { frozen } = resolution;
  const nowMs = deps.now();
  const lacking = run.spec.teacherPool === undefined ? undefined : domainsWithoutTeacher(frozen.recipe, deps.teachers(), run);
  const pods = podsWanted(run, lacking === undefined || lacking.length === 0, nowMs);
  const contact = await ask(deps, run, pods);
  const demand = contact.kind === 'known' ? demandOf(contact.progress) : undefined;
  const replicas = nextReplicas(run.spec.roles, run.status?.replicas, demand, nowMs);
  const queue = await queueOf(deps, run);
  const applyProblem = await applyAll(deps, run, { frozen, pods, replicas, queue });
  const { told, ...steered } = await steer(deps, run, { frozen, contact, inForce: run.status?.overrides ?? bakedInForce(frozen.baked) });
  await patchStatus(deps, run, { resolution, applyProblem, contact, replicas, nowMs, ...steered, domainsWithoutTeacher: lacking, queue });
  return told ? LOOK_EVERY_MS : nextLook(deps, run, { contact, pods });
}

/** First the run stops, and that is written down, for its gateway goes with its objects; then they go, then the finalizer. */
async function leave(deps: ReconcileDeps, run: TrainingRun): Promise<number | null> {
  const finalizers = run.metadata.finalizers ?? [];
  if (!finalizers.includes(FINALIZER)) return null;
  if (mustStop(run, deps.now())) {
    if (run.status?.phase !== 'Deleting') await applyStatus(deps, run, { ...run.status, phase: 'Deleting', message: 'the run is asked to stop; then its objects go' });
    if (!await hasStopped(run, await gatewayOf(deps, run))) return LOOK_EVERY_MS;
    await applyStatus(deps, run, drainedStatus(run, deps.now()));
    return LOOK_EVERY_MS;
  }
  const owned = deps.owned.of(run);
  for (const object of owned.values()) deps.applier.forget(object);
  const hadKey = await deps.keys.remove(run);
  if (!await removeAll(deps.api, owned.values()) || hadKey) return LOOK_EVERY_MS;
  deps.gateways.forget(deps.gatewayAddress(run));
  await setFinalizers(deps.api, run, finalizers.filter((finalizer) => finalizer !== FINALIZER));
  return null;
}

async function gatewayOf({ gateways, keys, gatewayAddress }: ReconcileDeps, run: TrainingRun): Promise<RunGateway> {
  return gateways.at(gatewayAddress(run), await keys.access(run));
}

async function ask(deps: ReconcileDeps, run: TrainingRun, pods: PodsWanted): Promise<Contact> {
  if (hasEnded(run) || !pods.steering) return { kind: 'not-asked' };
  try {
    const gateway = await gatewayOf(deps, run);
    const progress = await gateway.progress(runIdOf(run));
    return progress === null ? { kind: 'unknown-run' } : { kind: 'known', progress };
  } catch (error) {
    if (!(error instanceof StemmaError)) throw error;
    return { kind: 'silent', message: error.boundary === 'kubernetes' ? error.message : `gateway ${deps.gatewayAddress(run)} does not answer (${error.code})` };
  }
}

async function queueOf({ queues, owned }: ReconcileDeps, run: TrainingRun): Promise<Queue | undefined> {
  const { spec: { queueName }, metadata: { namespace = '' } } = run;
  return queueName === undefined ? undefined : queueOfRun(await queues.find(namespace, queueName), owned.of(run).values());
}

async function applyAll(deps: ReconcileDeps, run: TrainingRun, plan: { frozen: FrozenRecipe; pods: PodsWanted; replicas: Observed['replicas']; queue: Queue | undefined }): Promise<Observed['applyProblem']> {
  const desired = desiredObjects({ run, image: deps.image, operatorNamespace: deps.operatorNamespace, ...plan });
  const live = deps.owned.of(run);
  const problems: NonNullable<Observed['applyProblem']>[] = [];
  for (const object of desired) {
    const { kind, metadata: { namespace = '', name } } = object;
    const outcome = await deps.applier.apply(object, deps.owned.get(kind as 'Deployment', namespace, name));
    if (outcome.kind === 'problem') problems.push(outcome);
  }
  const wanted = new Set(desired.map(kindKeyOf));
  for (const [key, object] of live) if (!wanted.has(key) && object.metadata.deletionTimestamp === undefined) await remove(deps.api, object);
  const [first] = problems;
  return first && { reason: first.reason, message: problems.map(({ message }) => message).join('\n') };
}

interface Steering {
  readonly frozen: FrozenRecipe;
  readonly contact: Contact;
  readonly inForce: readonly AppliedOverride[];
}

/** `told`: the run was told something and has not been seen to follow yet. */
async function steer(deps: ReconcileDeps, run: TrainingRun, { frozen, contact, inForce }: Steering): Promise<{ overrides: readonly AppliedOverride[]; refused?: string; told: boolean }> {
  if (contact.kind !== 'known' && contact.kind !== 'unknown-run') return { overrides: inForce, told: false };
  const gateway = await gatewayOf(deps, run);
  let overrides = inForce;
  const orders = ordersFor(run, frozen, contact.kind === 'known' ? contact.progress : null, inForce);
  for (const order of orders) {
    try {
      const fromStep = await tell(deps, run, { gateway, order });
      if (order.kind === 'amend') overrides = withAmendment(overrides, order.amendment, fromStep);
    } catch (error) {
      if (!(error instanceof StemmaError) || order.kind !== 'amend' || error.code !== 'INVALID') throw error;
      return { overrides, told: false, refused: `overrides ${order.amendment.stage} ${order.amendment.path}: ${error.message}` };
    }
  }
  return { overrides, told: orders.length > 0 };
}

/** Resolves to the step from which it holds. Telling twice is telling once: the update's id is the fact's key. */
async function tell(deps: ReconcileDeps, run: TrainingRun, { gateway, order }: { gateway: RunGateway; order: Order }): Promise<number> {
  const id = runIdOf(run);
  if (order.kind === 'submit') {
    await gateway.submit({ run: id, recipe: deps.recipePath(run), seed: run.spec.seed });
    return 1;
  }
  const amended = order.kind === 'amend' ? { stage: order.amendment.stage, path: order.amendment.setting, value: JSON.parse(order.amendment.valueJson) as unknown } : {};
  return (await gateway.control({ run: id, updateId: updateIdOf(run, order), action: order.kind, ...amended })).effectiveStep;
}

async function patchStatus(deps: ReconcileDeps, run: TrainingRun, observed: Observed): Promise<void> {
  const status = statusOf(run, observed);
  if (isDeepStrictEqual(status, run.status)) return;
  for (const transition of transitions(run.status?.conditions, status.conditions ?? [])) {
    await recordTransition(deps, run, transition, `${run.metadata.generation} ${run.metadata.resourceVersion}`);
  }
  await applyStatus(deps, run, status);
}

async function applyStatus({ api }: ReconcileDeps, { apiVersion, kind, metadata: { namespace, name, uid } }: TrainingRun, status: TrainingRunStatus): Promise<void> {
  await api.call({
    method: 'PATCH', path: `${pathOf('TrainingRun', namespace, name)}/status`, query: { fieldManager: MANAGED_BY, force: 'true' },
    contentType: 'application/apply-patch+yaml', body: { apiVersion, kind, metadata: { name, namespace, uid }, status },
  }).catch((error: unknown) => {
    // Deleted meanwhile, or another object of that name by now.
    if (!isRefusal(error, 'NotFound') && !isRefusal(error, 'Conflict')) throw error;
  });
}

function nextLook({ lookEveryMs, now }: ReconcileDeps, run: TrainingRun, { contact, pods }: { contact: Contact; pods: PodsWanted }): number | null {
  if (hasEnded(run)) {
    const remainingMs = podsUntilMs(run.status?.endedAt, run.spec.retention.podsAfterEndSeconds) - now();
    return remainingMs > 0 && remainingMs < Infinity ? Math.min(remainingMs, 2 ** 31 - 1) : null;
  }
  return pods.steering || contact.kind !== 'not-asked' ? lookEveryMs : null;
}
