// `npm run cluster`: a real Kubernetes cluster of one node on this machine, with our images and our operator in it; no Docker, no registry. Needs Linux and root.
//   npm run cluster                 brings it up, or finds it running, and brings images, kinds and operator up to date
//   npm run cluster -- --bare       without our images and operator
//   npm run cluster -- --status     what runs
//   npm run cluster -- --down       takes everything away again, volumes too
import { parseArgs } from 'node:util';
import { needNode } from './setup/supported.mjs';

const USAGE = 'usage: npm run cluster [-- --bare | --status | --down]\n';
needNode();
const { explain } = await import('./setup/run.mjs');
const { bringUp, printStatus, bringDown } = await import('./cluster/commands.mjs');

process.exit(await main().catch(explain));

/** @returns {Promise<number>} the exit code */
async function main() {
  let values;
  try {
    ({ values } = parseArgs({ options: { bare: { type: 'boolean', default: false }, status: { type: 'boolean', default: false }, down: { type: 'boolean', default: false } } }));
  } catch (error) {
    process.stderr.write(`${/** @type {Error} */ (error).message}\n${USAGE}`);
    return 2;
  }
  if (values.status) return printStatus();
  return values.down ? bringDown() : bringUp({ bare: values.bare });
}
