// `npm run quickstart -- …`, `npm run kafka -- …` and `npm run stemma -- …`: set-up, then the command line of the project, in this same process,
// so that signals, exit code and terminal are its own. Works on a fresh clone, before `npm ci`.
import { pathToFileURL } from 'node:url';
import { needMachine } from './setup/supported.mjs';

needMachine();
const { explain, setUp } = await import('./setup/run.mjs');
const { ROOT } = await import('./setup/layout.mjs');
/** A broker needs no Python and no Temporal; nothing else needs Java. @type {import('./setup/run.mjs').Part[] | undefined} */
const parts = process.argv[2] === 'kafka' ? ['packages', 'generate', 'compile', 'kafka'] : undefined;
try {
  await setUp(parts);
} catch (error) {
  process.exit(explain(error));
}
const main = `${ROOT}/dist/services/cli/main.js`;
process.argv = [process.execPath, main, ...process.argv.slice(2)];
await import(pathToFileURL(main).href);
