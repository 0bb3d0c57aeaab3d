/** A disk that fills up: a tmpfs of a given size. Needs the right to mount; `canMount` says whether this process has it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk {
  readonly directory: string;
  resize(sizeKiB: number): void;
  unmount(): void;
}

export function mountSmallDisk(sizeKiB: number): SmallDisk {
  const directory = mkdtempSync(join(tmpdir(), 'stemma-small-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKiB}k`, 'tmpfs', directory], { stdio: 'ignore' });
  } catch (error) {
    rmSync(directory, { recursive: true });
    throw error;
  }
  return {
    directory,
    resize(newSizeKiB) {
      execFileSync('mount', ['-o', `remount,size=${newSizeKiB}k`, directory], { stdio: 'ignore' });
    },
    unmount() {
      execFileSync('umount', ['-l', directory], { stdio: 'ignore' });
      rmSync(directory, { recursive: true });
    },
  };
}

export function canMount(): boolean {
  try {
    mountSmallDisk(64).unmount();
    return true;
  } catch {
    return false;
  }
}
