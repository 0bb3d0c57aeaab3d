/** What a process under attack holds, read from outside it: memory, files and sockets. Linux. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

export interface Held {
  readonly residentMiB: number;
  readonly handles: number;
  /** What is open, for people. */
  readonly names: readonly string[];
}

/** Throws if it is gone. */
export function heldBy(pid: number): Held {
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (resident === undefined) throw new Error(`process ${pid} has ended`);
  const names = readdirSync(`/proc/${pid}/fd`).map((fd) => nameOf(`/proc/${pid}/fd/${fd}`)).filter((name) => name !== '');
  return { residentMiB: Number(resident) / 1024, handles: names.length, names };
}

function nameOf(link: string): string {
  try {
    return readlinkSync(link).replace(/\[\d+\]$/, '');
  } catch {
    return '';
  }
}
