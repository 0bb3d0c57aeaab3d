/** The ways into a machine's runs: as the one platform, beside it, or without it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import { openDirectoryBlobs } from '../adapters/blob/directory.js';
import { sidecarTrainer } from '../adapters/trainer/sidecar.js';
import type { Compute, Controls, Doors, Stores } from '../cli/platform.js';
import { gatewayClient } from '../gateway/client.js';
import type { Config } from '../runtime/config.js';
import { findDoor } from '../runtime/door-file.js';
import { startOwnSidecar } from '../runtime/service-base.js';
import { openLogs } from '../runtime/open-logs.js';
import { openCluster } from '../cluster/cluster.js';
import { openRole } from '../roles/open-role.js';
import { openPlatform } from './platform.js';

export const doors: Doors = { openPlatform, openCluster, openRole, openStores, connect, openCompute };

async function openStores(config: Config): Promise<Stores> {
  // Beside a platform, its log is the one that is meant.
  const log = config.log.kind === 'embedded' ? (await findDoor(config.home))?.log ?? config.log : config.log;
  const logs = await openLogs({ ...config, log });
  const blobs = await openDirectoryBlobs(config.blobs);
  return { logs, blobs, close: () => logs.close() };
}

async function connect(config: Config): Promise<Controls> {
  if (config.addresses.gateway !== '') return gatewayClient(config.addresses.gateway);
  const door = await findDoor(config.home);
  if (door) return gatewayClient(door.gateway);
  throw new StemmaError('gateway', 'UNAVAILABLE', 'no platform is running on this machine', 'Start it with `npm run stemma -- up` (or quickstart) and try again.');
}

/** A sidecar of one's own beside any platform: it shares the blobs and nothing else. */
async function openCompute(config: Config): Promise<Compute> {
  const scratch = await mkdtemp(join(tmpdir(), 'stemma-'));
  const sidecar = await startOwnSidecar(config, join(scratch, 'sidecar.log'));
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
