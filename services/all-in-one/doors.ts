/** The ways into a machine's runs: as the one platform, beside it, or without it. */
import { mkdtemp, readFile, rm, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import { openDirectoryBlobs } from '../adapters/blob/directory.js';
import { sidecarTrainer } from '../adapters/trainer/sidecar.js';
import type { Compute, Controls, Doors, Stores } from '../cli/platform.js';
import { gatewayClient } from '../gateway/client.js';
import type { Config } from '../runtime/config.js';
import { openLogs } from '../runtime/open-logs.js';
import { isAlive } from '../runtime/process-alive.js';
import { startSidecar } from '../runtime/sidecar-process.js';
import { DOOR_FILE, openPlatform } from './platform.js';

export const doors: Doors = { openPlatform, openStores, connect, openCompute };

async function openStores(config: Config): Promise<Stores> {
  await mkdir(join(config.home, 'blobs'), { recursive: true });
  const logs = await openLogs(config);
  const blobs = await openDirectoryBlobs(join(config.home, 'blobs'));
  return { logs, blobs, close: () => logs.close() };
}

async function connect(config: Config): Promise<Controls> {
  const door = await readFile(join(config.home, DOOR_FILE), 'utf8').catch(() => undefined);
  const found = door === undefined ? undefined : (JSON.parse(door) as { pid: number; gateway: string });
  if (found && isAlive(found.pid)) return gatewayClient(found.gateway);
  throw new StemmaError('gateway', 'UNAVAILABLE', 'no platform is running on this machine', 'Start it with `npm run stemma -- up` (or quickstart) and try again.');
}

/** A sidecar of one's own beside any platform: it shares the blobs and nothing else. */
async function openCompute(config: Config): Promise<Compute> {
  const scratch = await mkdtemp(join(tmpdir(), 'stemma-'));
  const sidecar = await startSidecar({
    python: config.tools.python, kernelsDirectory: join(config.packageRoot, 'kernels'), blobsDirectory: join(config.home, 'blobs'),
    threads: config.threads, device: config.device, logFile: join(scratch, 'sidecar.log'),
  });
  const trainer = sidecarTrainer(sidecar.address);
  return {
    trainer,
    async close() {
      await trainer.close();
      await sidecar.stop();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
