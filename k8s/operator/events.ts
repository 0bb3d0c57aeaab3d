/** Kubernetes Events: what `kubectl describe` shows of transitions. Their names are those of what they tell, so none is told twice. */
import { sha256Hex } from '../../services/runtime/canonical-json.js';
import { ApiRefusal, isRefusal, type KubeApi } from './api.js';
import type { Transition } from './conditions.js';
import { MANAGED_BY } from './desired.js';
import { apiVersionOf, pathOf, type KubeObject } from './resources.js';

const LONGEST_NOTE = 1000;

export interface EventDeps {
  readonly api: KubeApi;
  /** The server will not have the event, and would not another time: its namespace is being deleted, a quota is full. An event is for people, so the work goes on. */
  readonly onEventRefused: (error: ApiRefusal) => void;
}

/** `about`: what distinguishes this transition from an equal one later, such as the time of the condition before it. */
export async function recordTransition({ api, onEventRefused }: EventDeps, of: KubeObject, { type, reason, message }: Transition, about: string): Promise<void> {
  const { namespace, name, uid, resourceVersion } = of.metadata;
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const event = {
    apiVersion: apiVersionOf('Event'), kind: 'Event',
    metadata: { namespace, name: `${name}.${sha256Hex(JSON.stringify([uid, reason, message, about])).slice(0, 16)}` },
    involvedObject: { apiVersion: of.apiVersion, kind: of.kind, namespace, name, uid, resourceVersion },
    type, reason, message: message.slice(0, LONGEST_NOTE) || reason, source: { component: MANAGED_BY }, reportingComponent: MANAGED_BY,
    firstTimestamp: now, lastTimestamp: now, count: 1,
  };
  await api.call({ method: 'POST', path: pathOf('Event', namespace), body: event }).catch((error: unknown) => {
    if (isRefusal(error, 'AlreadyExists')) return;
    if (!(error instanceof ApiRefusal) || error.code === 'UNAVAILABLE') throw error;
    onEventRefused(error);
  });
}
