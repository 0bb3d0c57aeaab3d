// `npm run test:cluster`: brings the cluster of `npm run cluster` up or up to date, runs test/cluster against it, and leaves it running.
//   npm run test:cluster                     everything (25 minutes on two cores)
//   npm run test:cluster -- embedded         only files whose path contains that
//   npm run test:cluster -- -t 'node drain'  only tests of that name
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { needNode } from './setup/supported.mjs';

needNode();
const { explain } = await import('./setup/run.mjs');
const { ROOT } = await import('./setup/layout.mjs');
const { bringUp } = await import('./cluster/commands.mjs');

const failed = await bringUp({ bare: false }).catch(explain);
if (failed !== 0) process.exit(failed);
const { status } = spawnSync(process.execPath, [join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--config', 'test/cluster/vitest.config.ts', ...process.argv.slice(2)], { cwd: ROOT, stdio: 'inherit' });
process.exit(status ?? 1);
