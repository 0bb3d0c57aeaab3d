/** Processes from outside: /proc says whether a fault really happened. */
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { statOf } from '../../support/proc-stat.js';

/** What is looked at is often all of /proc. */
const LOOK_EVERY_MS = 50;

/** R, S, D, T (stopped), Z …; '' when it is gone. */
export function stateOf(pid: number): string {
  return statOf(pid)?.[0] ?? '';
}

/** The process and all below it. */
export function tree(root: number): number[] {
  const parents = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => [Number(name), Number(statOf(Number(name))?.[1])] as const);
  const below = (pid: number): number[] => [pid, ...parents.filter(([, parent]) => parent === pid).flatMap(([child]) => below(child))];
  return below(root);
}

export function isGone(pid: number): boolean {
  return ['', 'Z', 'X'].includes(stateOf(pid));
}

/** Waits for what has no event of its own; rejects with `what` when `until` aborts first. */
export async function when(what: string, until: AbortSignal, holds: () => boolean): Promise<void> {
  while (!holds()) {
    if (until.aborted) throw new Error(`${what}: ${(until.reason as Error).message}`);
    await delay(LOOK_EVERY_MS);
  }
}

/** Field 22 of stat: no other process that ever gets this pid has the same. '' when it is gone. */
function startedAt(pid: number): string {
  return statOf(pid)?.[19] ?? '';
}

/** All at once: stopped first, so that none acts on another's death. Resolves when all are gone; a pid may be somebody else's by then. */
export async function killTree(root: number): Promise<void> {
  const all = tree(root).map((pid) => ({ pid, started: startedAt(pid) })).filter(({ started }) => started !== '');
  const isThere = ({ pid, started }: typeof all[number]): boolean => startedAt(pid) === started && !isGone(pid);
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const each of all.filter(isThere)) send(each.pid, signal);
  while (all.some(isThere)) await delay(LOOK_EVERY_MS);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
