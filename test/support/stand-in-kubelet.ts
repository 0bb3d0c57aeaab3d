/**
 * Runs the one pod of an embedded run as a process here, from what the API server says of it: its arguments, its environment, its
 * mounted Secret and ConfigMap. Only paths and ports are this machine's. A process that ends is started again, as a kubelet would.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathOf, type KubeObject } from '../../k8s/operator/resources.js';
import { startUp, type Quickstart } from './quickstart.js';
import type { RealKube } from './real-kube.js';

interface Container {
  readonly args: readonly [string, ...string[]];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string; readonly items: readonly { readonly key: string; readonly path: string }[] };
}

interface StatefulSet extends KubeObject {
  readonly spec: { readonly replicas: number; readonly template: { readonly spec: { readonly containers: readonly [Container]; readonly volumes: readonly Volume[] } } };
}

export interface StandInKubelet {
  /** Of the volume. */
  readonly home: string;
  /** How often the pod's process was started. */
  readonly starts: () => number;
  /** Resolves when it is gone because it is not wanted: what is wanted is looked at now and then, so until here it may be missed that it ever was not. */
  down(): Promise<void>;
  /** kill -9; it is started again. Resolves when it is gone. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

export interface StandInOptions {
  readonly namespace: string;
  readonly name: string;
  /** Everything of the pod lies below it; the mounts under their own paths. */
  readonly directory: string;
  /** Where the pod's gateway listens here. */
  readonly gatewayPort: number;
}

const LOOK_EVERY_MS = 100;

export function standInKubelet(kube: RealKube, options: StandInOptions): StandInKubelet {
  const { namespace, name, directory } = options;
  const home = join(directory, 'home');
  const closed = new AbortController();
  let pod: Quickstart | undefined;
  let starts = 0;
  let wantedNow = true;
  const wanted = (): Promise<StatefulSet | undefined> => kube.api.call<StatefulSet>({ method: 'GET', path: pathOf('StatefulSet', namespace, name) }).catch(() => undefined);
  const stop = async (): Promise<void> => {
    pod?.process.kill('SIGTERM');
    await pod?.ended;
    pod = undefined;
  };
  const follow = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      const set = await wanted();
      wantedNow = (set?.spec.replicas ?? 0) > 0;
      if (!wantedNow) await stop();
      else if (pod === undefined && set !== undefined) {
        const started = pod = await start(kube, set, options);
        starts += 1;
        void started.ended.then(() => { if (pod === started) pod = undefined; });
      }
      await delay(LOOK_EVERY_MS, undefined, { signal: closed.signal }).catch(() => undefined);
    }
  };
  const following = follow();
  return {
    home, starts: () => starts,
    async down() {
      while (wantedNow || pod !== undefined) {
        closed.signal.throwIfAborted();
        await delay(LOOK_EVERY_MS);
      }
    },
    async kill() {
      const victim = pod;
      victim?.process.kill('SIGKILL');
      await victim?.ended;
    },
    async close() {
      closed.abort();
      await following;
      await stop();
    },
  };
}

async function start(kube: RealKube, set: StatefulSet, { namespace, directory, gatewayPort }: StandInOptions): Promise<Quickstart> {
  const { containers: [container], volumes } = set.spec.template.spec;
  const here = (path: string): string => join(directory, path);
  for (const { name, mountPath } of container.volumeMounts) {
    const volume = volumes.find((each) => each.name === name);
    mkdirSync(here(mountPath), { recursive: true });
    for (const [file, text] of await contentOf(kube, namespace, volume)) writeFileSync(join(here(mountPath), file), text, { mode: 0o600 });
  }
  const settings = Object.fromEntries(container.env.map(({ name, value }) => [name, value.startsWith('/') ? here(value) : value]));
  const { STEMMA_HOME: _, ...others } = settings;
  return startUp(join(directory, 'home'), container.args.slice(1), { ...others, STEMMA_LISTEN_HOST: '127.0.0.1', STEMMA_GATEWAY_PORT: String(gatewayPort), STEMMA_METRICS_PORT: '0' });
}

async function contentOf(kube: RealKube, namespace: string, volume: Volume | undefined): Promise<[string, string][]> {
  if (volume?.configMap) {
    const { data } = await kube.api.call<{ data: { [key: string]: string } }>({ method: 'GET', path: pathOf('ConfigMap', namespace, volume.configMap.name) });
    return Object.entries(data);
  }
  if (!volume?.secret) return [];
  const { data } = await kube.api.call<{ data: { [key: string]: string } }>({ method: 'GET', path: pathOf('Secret', namespace, volume.secret.secretName) });
  return volume.secret.items.map(({ key, path }) => [path, Buffer.from(data[key] ?? '', 'base64').toString()]);
}
