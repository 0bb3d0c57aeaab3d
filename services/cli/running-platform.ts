import { StemmaError } from '../../core/errors.js';
import type { CliDeps } from './deps.js';
import type { Controls } from './platform.js';

/** The platform that another process has opened; null where none runs. */
export async function runningPlatform(deps: CliDeps): Promise<Controls | null> {
  try {
    return await (await deps.doors()).connect(deps.config());
  } catch (error) {
    if (error instanceof StemmaError && error.code === 'UNAVAILABLE') return null;
    throw error;
  }
}
