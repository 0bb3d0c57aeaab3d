// kwok, which plays nodes and the pods on them, for the bench of many runs.
import { prepareGoProgram } from './go-program.mjs';
import { KWOK } from './versions.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

/** @param {Progress} progress @returns {Promise<Tool>} */
export function prepareKwok(progress) {
  return prepareGoProgram(progress, { label: 'kwok', name: 'kwok', path: 'sigs.k8s.io/kwok/cmd/kwok', version: KWOK, given: 'STEMMA_TEST_KWOK', takes: '2 minutes', needs: '1.26' });
}
