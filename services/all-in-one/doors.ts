/** The ways into a machine's runs: as the one platform, beside it, or without it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import { sidecarTrainer } from '../adapters/trainer/sidecar.js';
import type { Collection, Compute, Controls, Doors, Stores } from '../cli/platform.js';
import { gatewayClient } from '../gateway/client.js';
import type { Config, LogSetting } from '../runtime/config.js';
import { readToken } from '../runtime/access/local-key.js';
import { findDoor } from '../runtime/door-file.js';
import { PLAIN_CHANNEL } from '../runtime/grpc.js';
import { startOwnSidecar } from '../runtime/service-base.js';
import { channelTo } from '../runtime/tls/credentials.js';
import { openTls, type Tls } from '../runtime/tls/tls.js';
import { openBlobs, openSweep } from '../runtime/open-blobs.js';
import { openLogs, type OpenLogs } from '../runtime/open-logs.js';
import { openCluster } from '../cluster/cluster.js';
import { openRole } from '../roles/open-role.js';
import { openPlatform } from './platform.js';

export const doors: Doors = { openPlatform, openCluster, openRole, openStores, openCollection, connect, openCompute };

/** Beside a platform, its log is the one that is meant. */
async function meantLog({ home, log }: Config): Promise<LogSetting> {
  return log.kind === 'embedded' ? (await findDoor(home))?.log ?? log : log;
}

async function openStores(config: Config): Promise<Stores> {
  const logs = await openLogs({ ...config, log: await meantLog(config) });
  const blobs = await openBlobs(config.blobs);
  return { logs, blobs, close: () => logs.close() };
}

/** A home's embedded log keeps its blobs where the runs in Kafka do. */
async function openCollection(config: Config): Promise<Collection> {
  const log = await meantLog(config);
  const blobs = await openBlobs(config.blobs);
  const sweep = await openSweep(config.blobs);
  const logs: OpenLogs[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(logs.map((each) => each.close()));
    await sweep.close();
  };
  try {
    for (const each of log.kind === 'embedded' ? [log] : [log, { kind: 'embedded' } as const]) logs.push(await openLogs({ ...config, log: each }));
  } catch (error) {
    await close();
    throw error;
  }
  return { logs, blobs, sweep, close };
}

async function connect(config: Config): Promise<Controls> {
  const token = (): string => readToken(config);
  const { gateway } = config.addresses;
  if (gateway !== '') return closing(config, (tls) => gatewayClient(gateway, token, tls ? channelTo(tls, gateway) : PLAIN_CHANNEL));
  const door = await findDoor(config.home);
  if (door?.tls === true && config.tls.caFile === '') {
    throw new StemmaError('gateway', 'INVALID', `the platform of ${config.home} is spoken to over TLS`, 'Set STEMMA_TLS_CA_FILE to the authority of its certificate, as it has it.');
  }
  if (door) return closing(config, (tls) => gatewayClient(door.gateway, token, tls && door.tls ? channelTo(tls, door.gateway) : PLAIN_CHANNEL));
  throw new StemmaError('gateway', 'UNAVAILABLE', 'no platform is running on this machine', 'Start it with `npm run stemma -- up` (or quickstart) and try again.');
}

/** With the certificates of the settings, as long as it is open. */
function closing(config: Config, open: (tls: Tls | null) => Controls): Controls {
  const tls = config.tls.caFile === '' ? null : openTls(config.tls);
  const controls = open(tls);
  return {
    ...controls,
    async close() {
      await controls.close();
      tls?.close();
    },
  };
}

/** A sidecar of one's own beside any platform: it shares the blobs and nothing else, and writes below `exports` only. */
async function openCompute(config: Config, exports?: string): Promise<Compute> {
  const scratch = await mkdtemp(join(tmpdir(), 'stemma-'));
  const sidecar = await startOwnSidecar(config, join(scratch, 'sidecar.log'), exports === undefined ? {} : { exports });
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
