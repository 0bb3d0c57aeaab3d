/**
 * Loaded before the program (NODE_OPTIONS=--import): the compiled services run as they are shipped, but for the patches
 * that a test names. Nothing of this can be reached from production code.
 */
import { register } from 'node:module';
import { createInstrument } from './instrument.mjs';

const settings = process.env.STEMMA_TEST_INSTRUMENT;
if (settings !== undefined) {
  const parsed = JSON.parse(settings);
  globalThis.stemmaInstrument = createInstrument(parsed);
  register('./hooks.mjs', import.meta.url, { data: parsed.patches });
}
