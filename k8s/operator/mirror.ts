/**
 * What the API server holds of one kind, as last heard. A watch only makes it quick: it ends after a while, for whatever reason,
 * and then everything is listed again, so nothing depends on having seen every event.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeApi } from './api.js';
import { apiVersionOf, keyOf, pathOf, type Kind, type KubeObject } from './resources.js';

export interface MirrorSpec<T> {
  readonly api: KubeApi;
  readonly kind: Kind;
  /** Absent: of all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  /** How long a watch lasts before everything is listed anew. */
  readonly relistSeconds: number;
  /** Called for an object that came, changed or went. */
  readonly onChange: (object: T) => void;
  /** After each list it is called for all of them, changed or not. */
  readonly announcesAll?: boolean;
  readonly onTrouble: (error: unknown) => void;
}

export interface Mirror<T extends KubeObject> {
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  /** After the first list. */
  readonly synced: Promise<void>;
}

interface Listed<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
}

const PAGE = '500';
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;
/** Beyond the server's own end of a watch: then the connection is dead and nobody has told us. */
const GRACE_MS = 15_000;

/** Follows until `signal` aborts. */
export function openMirror<T extends KubeObject>(spec: MirrorSpec<T>, signal: AbortSignal): Mirror<T> {
  const held = new Map<string, T>();
  let markSynced!: () => void;
  const synced = new Promise<void>((resolve) => { markSynced = resolve; });
  void follow(spec, { held, markSynced, signal });
  return { get: (key) => held.get(key), values: () => held.values(), synced };
}

interface Following<T> {
  readonly held: Map<string, T>;
  readonly markSynced: () => void;
  readonly signal: AbortSignal;
}

async function follow<T extends KubeObject>(spec: MirrorSpec<T>, following: Following<T>): Promise<void> {
  let retryMs = FIRST_RETRY_MS;
  while (!following.signal.aborted) {
    try {
      const resourceVersion = await relist(spec, following);
      following.markSynced();
      retryMs = FIRST_RETRY_MS;
      await watch(spec, following, resourceVersion);
    } catch (error) {
      if (following.signal.aborted) return;
      spec.onTrouble(error);
      await delay(retryMs, undefined, { signal: following.signal }).catch(() => undefined);
      retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2);
    }
  }
}

async function relist<T extends KubeObject>(spec: MirrorSpec<T>, { held, signal }: Following<T>): Promise<string> {
  const fresh = new Map<string, T>();
  const path = pathOf(spec.kind, spec.namespace);
  let page: Listed<T> | undefined;
  do {
    page = await spec.api.call<Listed<T>>({
      method: 'GET', path,
      query: { limit: PAGE, ...(spec.labelSelector && { labelSelector: spec.labelSelector }), ...(page?.metadata.continue && { continue: page.metadata.continue }) },
    });
    for (const item of page.items) fresh.set(keyOf(item), complete(spec.kind, item));
  } while (page.metadata.continue);
  if (signal.aborted) return '';
  const gone = [...held].filter(([key]) => !fresh.has(key)).map(([, object]) => object);
  const isNews = ([key, { metadata }]: [string, T]): boolean => spec.announcesAll === true || held.get(key)?.metadata.resourceVersion !== metadata.resourceVersion;
  const news = [...fresh].filter(isNews).map(([, object]) => object);
  held.clear();
  for (const [key, object] of fresh) held.set(key, object);
  for (const object of [...news, ...gone]) spec.onChange(object);
  return page.metadata.resourceVersion;
}

async function watch<T extends KubeObject>(spec: MirrorSpec<T>, { held, signal }: Following<T>, resourceVersion: string): Promise<void> {
  const query = {
    resourceVersion, allowWatchBookmarks: 'true', timeoutSeconds: String(spec.relistSeconds),
    ...(spec.labelSelector && { labelSelector: spec.labelSelector }),
  };
  const dead = AbortSignal.timeout(spec.relistSeconds * 1000 + GRACE_MS);
  await spec.api.watch<T>(pathOf(spec.kind, spec.namespace), query, ({ type, object }) => {
    if (type === 'BOOKMARK' || signal.aborted) return;
    if (type === 'DELETED') held.delete(keyOf(object));
    else held.set(keyOf(object), complete(spec.kind, object));
    spec.onChange(complete(spec.kind, object));
  }, AbortSignal.any([signal, dead]));
}

/** Items of a list do not say their kind. managedFields are half of an object's size and nobody here reads them. */
function complete<T extends KubeObject>(kind: Kind, object: T): T {
  const { managedFields: _, ...metadata } = object.metadata as T['metadata'] & { managedFields?: unknown };
  return { ...object, apiVersion: apiVersionOf(kind), kind, metadata };
}
