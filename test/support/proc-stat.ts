/** /proc/PID/stat, as far as tests ask for it. Linux. */
import { readFileSync } from 'node:fs';

/** From its third field on: state, parent, …; undefined when it is gone. */
export function statOf(pid: number): string[] | undefined {
  try {
    // pid (comm) state ppid …; comm may hold spaces and parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
