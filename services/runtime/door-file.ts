/** How other processes of this machine find the platform that works in a home. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogSetting } from './config.js';
import { isAlive } from './process-alive.js';

export interface Door {
  /** host:port */
  readonly gateway: string;
  /** http://host:port of the same gateway, or https://. */
  readonly http: string;
  /** Both are served over TLS. */
  readonly tls: boolean;
  readonly log: LogSetting;
}

/** Returns what takes the door away again. */
export async function openDoor(home: string, door: Door): Promise<() => Promise<void>> {
  const file = join(home, 'platform.json');
  await writeFile(file, JSON.stringify({ pid: process.pid, ...door }));
  return () => rm(file, { force: true });
}

/** Undefined where no platform runs. */
export async function findDoor(home: string): Promise<Door | undefined> {
  const text = await readFile(join(home, 'platform.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { pid, gateway, http, tls, log } = JSON.parse(text) as Door & { readonly pid: number };
  return isAlive(pid) ? { gateway, http, tls, log } : undefined;
}
