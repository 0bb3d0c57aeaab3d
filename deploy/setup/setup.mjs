// Everything a fresh clone needs before it can run, with nothing but Node's own library:
//   node deploy/setup/setup.mjs [--only=packages,generate,compile,python,temporal,kafka,minio,kube,kueue,cluster,kwok,prometheus,lint]
// Each step has a stamp of its inputs; the second start finds them all and takes a fraction of a second.
import { needMachine } from './supported.mjs';

needMachine();

// Imported only now: on a Node too old for these files the message above comes first.
const { runSetupCommand } = await import('./run.mjs');
process.exit(await runSetupCommand(process.argv.slice(2)));
