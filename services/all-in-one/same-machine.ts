/** A run goes on only where its steps recompute to the same bits: on another device or thread count it would end DIVERGED. */
import { StemmaError } from '../../core/errors.js';
import { compareFingerprints } from '../runtime/fingerprint.js';
import type { Services } from './compose.js';

/** Throws before anything is written; a run that is not there yet is nobody's problem. */
export async function assertSameMachine(services: Pick<Services, 'contexts' | 'sidecar' | 'logs'>, run: string): Promise<void> {
  if (!(await services.logs.list()).includes(run)) return;
  const context = await services.contexts.get(run).catch((error: unknown) => {
    if (error instanceof StemmaError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (!context) return;
  const { same, here, recorded } = compareFingerprints(services.sidecar.fingerprintJson, context.manifest.fingerprint);
  if (same) return;
  throw new StemmaError('setup', 'INVALID', `run ${run} was started as ${recorded} and would go on as ${here}`,
    'Its weights would no longer be the fold of its log. Restore the settings (STEMMA_THREADS, STEMMA_DEVICE, the Python environment), or start a new run with --fresh.');
}
