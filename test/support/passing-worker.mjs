// node passing-worker.mjs ADDRESS NAMESPACE WITHIN_MS: starts two workers, waits so long for a server that refuses them, stops, and has to end by itself.
import { writeSync } from 'node:fs';
import { startWorkers } from '../../dist/services/worker/worker.js';

const [address, namespace, withinMs] = process.argv.slice(2);
const activities = { learner: { nothing: async () => undefined }, distiller: { nothing: async () => undefined } };
const waiting = { withinMs: Number(withinMs), onWait: () => writeSync(1, 'waiting\n') };
const workers = await startWorkers({ address, namespace, activities, waiting }).catch(() => undefined);
writeSync(1, workers === undefined ? 'given up\n' : 'started\n');
await workers?.stop();
