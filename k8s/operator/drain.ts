/** The end of a TrainingRun's object: the run is asked to stop, its objects go, then the finalizer. */
import { StemmaError } from '../../core/errors.js';
import { isRefusal, type KubeApi } from './api.js';
import { conditionsFrom, finding } from './conditions.js';
import { pathOf, type KubeObject, type OwnedKind } from './resources.js';
import { updateIdOf, wasSubmitted, isSuspended } from './steering.js';
import type { RunGateway } from './run-gateway.js';
import { conditionOf, hasEnded, runIdOf, type TrainingRun, type TrainingRunStatus } from './training-run.js';

export const FINALIZER = 'stemma.dev/drain';

/** Between looks at a run that was told something. */
export const LOOK_EVERY_MS = 1000;

/** Whether the run goes on as far as this object knows, and is waited for. */
export function mustStop(run: TrainingRun, nowMs: number): boolean {
  const { retention, embedded, suspend } = run.spec;
  const deadline = Date.parse(run.metadata.deletionTimestamp ?? '') + retention.drainSeconds * 1000;
  const hasNoPod = embedded && suspend && isSuspended(run);
  const over = hasEnded(run) || conditionOf(run, 'Drained') !== undefined;
  return wasSubmitted(run) && !over && !hasNoPod && nowMs < deadline;
}

/** Asks it to, unless it stops already. */
export async function hasStopped(run: TrainingRun, gateway: RunGateway): Promise<boolean> {
  try {
    const progress = await gateway.progress(runIdOf(run));
    if (progress === null || ['finished', 'failed', 'stopped'].includes(progress.status)) return true;
    if (progress.status !== 'stopping') await gateway.control({ run: runIdOf(run), updateId: updateIdOf(run, { kind: 'stop' }), action: 'stop' });
    return false;
  } catch (error) {
    // A gateway that is gone may come back until the deadline.
    if (error instanceof StemmaError && (error.retriable || error.boundary === 'temporal')) return false;
    throw error;
  }
}

export function drainedStatus(run: TrainingRun, nowMs: number): TrainingRunStatus {
  const at = { generation: run.metadata.generation ?? 0, nowMs };
  const drained = conditionsFrom([finding('Drained', 'True', 'RunStopped', 'the run has stopped; its objects go')], undefined, at);
  return { ...run.status, phase: 'Deleting', message: 'the run has stopped; its objects go', conditions: [...run.status?.conditions ?? [], ...drained] };
}

/** Deletes what is there; resolves to whether nothing was. */
export async function removeAll(api: KubeApi, objects: Iterable<KubeObject>): Promise<boolean> {
  const found = [...objects];
  await Promise.all(found.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map((object) => remove(api, object)));
  return found.length === 0;
}

export async function remove(api: KubeApi, { kind, metadata: { namespace, name, uid } }: KubeObject): Promise<void> {
  await api.call({
    method: 'DELETE', path: pathOf(kind as OwnedKind, namespace, name), body: { propagationPolicy: 'Background', preconditions: { uid } },
  }).catch((error: unknown) => {
    if (!isRefusal(error, 'NotFound') && !isRefusal(error, 'Conflict')) throw error;
  });
}

export async function setFinalizers(api: KubeApi, { kind, metadata }: KubeObject, finalizers: readonly string[]): Promise<void> {
  await api.call({
    method: 'PATCH', path: pathOf(kind as 'TrainingRun', metadata.namespace, metadata.name), contentType: 'application/merge-patch+json',
    body: { metadata: { finalizers, resourceVersion: metadata.resourceVersion } },
  }).catch((error: unknown) => {
    if (!isRefusal(error, 'NotFound')) throw error;
  });
}
