/** Peak resident memory of processes, as the kernel counts it (VmHWM). An upper bound of their sum at any one time. */
import { readFile } from 'node:fs/promises';

export async function peakMemoryMiB(pids: readonly number[]): Promise<number> {
  const peaks = await Promise.all(pids.map(peakOf));
  return Math.round(peaks.reduce((sum, kib) => sum + kib, 0) / 1024);
}

/** KiB; 0 for a process that has ended or where there is no /proc. */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
}
