/**
 * What only a person can mend: a full disk, a blob that is missing or altered. The person is told once and the work is tried
 * again; when that has not helped for a while the command ends, so that nobody waits for what does not come. The run stays
 * unfinished in its log: the same command goes on with it.
 */
import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import type { PlatformOptions } from '../cli/platform.js';
import type { AttemptWatcher } from '../worker/heartbeat.js';

/** Of one activity, 0.2 s to 3 s apart: twelve seconds. */
const TRIES = 8;
/** Temporal cannot count tries on a full disk of its own, so the disk is looked at too. */
const LOOK_EVERY_MS = 2000;
const PROBE_BYTES = 64 * 1024;

export interface TroubleWatcher extends AttemptWatcher {
  close(): void;
}

export function watchTrouble({ config, logger, onTrouble, onGivenUp }: PlatformOptions): TroubleWatcher {
  const said = new Set<string>();
  const tries = new Map<string, number>();
  let looking: NodeJS.Timeout | undefined;
  let looks = 0;
  const stopLooking = (): void => {
    clearInterval(looking);
    looking = undefined;
    looks = 0;
  };
  const giveUp = (error: StemmaError): void => {
    stopLooking();
    onGivenUp?.(new StemmaError(error.boundary, error.code, `gave up after ${TRIES} tries: ${error.message}`,
      `${error.remedy} Then start the same command again: it goes on from where it was.`, error));
  };
  const look = async (error: StemmaError): Promise<void> => {
    const full = (await Promise.all([config.home, config.blobs].map(isFull))).some(Boolean);
    if (looking === undefined) return;
    if (!full) return stopLooking();
    looks += 1;
    if (looks >= TRIES) giveUp(error);
  };
  return {
    onAttemptFailed(subject, error) {
      logger.warn({ ...subject, err: error }, 'an attempt failed');
      if (!(error instanceof StemmaError) || !error.mendable) return;
      if (!said.has(error.message)) onTrouble?.(`${error.message}. ${error.remedy}`);
      said.add(error.message);
      const failures = (tries.get(subject.id) ?? 0) + 1;
      tries.set(subject.id, failures);
      if (failures >= TRIES) giveUp(error);
      else if (error.code === 'DISK_FULL') looking ??= setInterval(() => void look(error), LOOK_EVERY_MS);
    },
    onAttemptDone: ({ id }) => void tries.delete(id),
    close: stopLooking,
  };
}

async function isFull(directory: string): Promise<boolean> {
  const file = join(directory, `.probe-${randomUUID()}`);
  try {
    const handle = await open(file, 'wx');
    try {
      await handle.writeFile(new Uint8Array(PROBE_BYTES));
      await handle.sync();
    } finally {
      await handle.close();
    }
    return false;
  } catch (error) {
    return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}
