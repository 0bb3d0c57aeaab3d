/** Where tests find the Temporal dev server: STEMMA_TEMPORAL, what set-up found, the PATH, set-up's cache. */
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setUpPart } from './set-up-part.js';

/** Undefined: the tier is skipped, and fails with CI=true. */
export function findTemporal(): string | undefined {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'stemma');
  const candidates = [
    process.env['STEMMA_TEMPORAL'], setUpPart('temporal'),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '').map((directory) => join(directory, 'temporal')),
    join(cache, 'temporal-cli-1.5.1', 'temporal'),
  ];
  const found = candidates.find((candidate) => candidate !== undefined && candidate !== '' && isExecutable(candidate));
  if (found === undefined && process.env['CI'] === 'true') {
    throw new Error('CI=true and no Temporal server: run `npm run setup`, or set STEMMA_TEMPORAL to the temporal program');
  }
  return found;
}

/** Why a suite is skipped, for its name. */
export const NO_TEMPORAL = 'no Temporal server: run `npm run setup`, or set STEMMA_TEMPORAL';

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
