/** The processes of a distributed home, by the part they play: whoever started them, and whoever of them still lives. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { isGone } from './processes.js';

/** The process that starts and supervises the others. */
export const LAUNCHER = 'launcher';

/** Part → process id: launcher, temporal, broker, a service by its name, its sidecar as NAME-sidecar. */
export function partsOf(home: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const part = partOf(home, entry);
    if (part !== undefined && !isGone(Number(entry))) found.set(part, Number(entry));
  }
  return found;
}

function partOf(home: string, pid: string): string | undefined {
  try {
    const program = basename(readlinkSync(`/proc/${pid}/exe`));
    const kind = /^(node|temporal|java|python)/.exec(program)?.[0];
    if (kind === undefined) return undefined;
    const at = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').find((line) => line.startsWith('STEMMA_HOME='))?.slice('STEMMA_HOME='.length);
    if (at === home) return { node: LAUNCHER, temporal: 'temporal', java: 'broker' }[kind];
    if (at === undefined || !at.startsWith(`${home}/roles/`)) return undefined;
    return { node: basename(at), python: `${basename(at)}-sidecar` }[kind];
  } catch {
    // It ended while it was looked at.
    return undefined;
  }
}
