// node busy-worker.mjs ADDRESS NAMESPACE BUNDLE: hosts ./busy-workflow.ts; "hosted" on stdout once it polls, "deciding" when its activity ran.
import { readFileSync, writeSync } from 'node:fs';
import { startWorkers } from '../../dist/services/worker/worker.js';

const [address, namespace, bundle] = process.argv.slice(2);
await startWorkers({
  address, namespace,
  activities: { worker: { aboutToDecide: async () => { writeSync(1, 'deciding\n'); } } },
  bundle: { code: readFileSync(bundle, 'utf8') },
});
writeSync(1, 'hosted\n');
