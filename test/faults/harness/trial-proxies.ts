/** A proxy before each named part. Where the part listens is known only once it has started: it leaves its address in a file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Proxy } from './proxy.js';
import type { TrialSettings } from './trial.js';

export interface TrialProxies {
  get(part: string): Proxy | undefined;
  /** For the parts of a trial in this folder. */
  settings(folder: string): NonNullable<TrialSettings['proxies']>;
  close(): Promise<void>;
}

export async function listenBefore(parts: readonly string[]): Promise<TrialProxies> {
  let targets = '';
  const targetFile = (part: string): string => join(targets, `${part}.address`);
  const proxies = new Map<string, Proxy>();
  for (const part of parts) proxies.set(part, await Proxy.listen(() => readFileSync(targetFile(part), 'utf8')));
  return {
    get: (part) => proxies.get(part),
    settings(folder) {
      targets = folder;
      return Object.fromEntries([...proxies].map(([part, { address }]) => [part, { address, targetFile: targetFile(part) }]));
    },
    async close() {
      for (const proxy of proxies.values()) await proxy.close();
    },
  };
}
