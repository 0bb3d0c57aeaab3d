/**
 * Every service a process of its own and nothing between them in plain text: a certificate each with its own role, Kafka and Temporal
 * behind mutual TLS, sidecars too.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import { doors } from '../../services/all-in-one/doors.js';
import type { Controls, Stores } from '../../services/cli/platform.js';
import { startRoleProcess } from '../../services/cluster/role-process.js';
import { ROLES } from '../../services/roles/role.js';
import { addKey, newSeal, writeKeysFile, writeSecret } from '../../services/runtime/access/keys-file.js';
import { createClosers, type Closers } from '../../services/runtime/closers.js';
import { readConfig } from '../../services/runtime/config.js';
import { freePorts } from '../../services/runtime/free-port.js';
import { openLogs } from '../../services/runtime/open-logs.js';
import type { TlsFiles } from '../../services/runtime/security-settings.js';
import { startTemporal } from '../../services/runtime/temporal-process.js';
import { openTls } from '../../services/runtime/tls/tls.js';
import { authority, HERE, roleName, type Authority } from './certificates.js';
import { openRealKafka } from './real-kafka.js';

export interface SecureServices {
  readonly home: string;
  readonly controls: Controls;
  readonly stores: Stores;
  /** Services that ended without having been asked to. */
  readonly deaths: readonly string[];
  /** Of a person who has a certificate and a key. */
  readonly settings: { readonly [name: string]: string };
  /** A new certificate for everyone, in place of the old. */
  renew(): void;
  /** Log lines of each service. */
  said(): readonly string[];
  close(): Promise<void>;
}

export async function startSecureServices(): Promise<SecureServices> {
  const home = mkdtempSync(join(tmpdir(), 'stemma-mtls-'));
  const closers = createClosers();
  closers.add(() => rmSync(home, { recursive: true, force: true }));
  try {
    return await startIn(home, closers);
  } catch (error) {
    await closers.close();
    throw error;
  }
}

async function startIn(home: string, closers: Closers): Promise<SecureServices> {
  const ours = authority(home, 'ours');
  const files = new Map<string, TlsFiles>([...ROLES, 'me'].map((who) => [who, ours.issue(who, { names: [...HERE, roleName(who)] })]));
  const settings = await surroundings(home, ours, closers);
  const settingsOf = (who: string): { readonly [name: string]: string } => {
    const { certFile, keyFile, caFile } = files.get(who) as TlsFiles;
    return { ...settings, STEMMA_TLS_CERT_FILE: certFile, STEMMA_TLS_KEY_FILE: keyFile, STEMMA_TLS_CA_FILE: caFile };
  };
  const mine = readConfig(undefined, settingsOf('me'));
  const tls = openTls(mine.tls);
  closers.add(() => tls.close());
  const deaths: string[] = [];
  await Promise.all(ROLES.map(async (role) => {
    const process = await startRoleProcess({ name: role, role, config: readConfig(undefined, settingsOf(role)), tls, onDeath: () => deaths.push(role), onLine: () => undefined });
    closers.add(() => process.stop());
  }));
  const controls = await doors.connect(mine);
  closers.add(() => controls.close());
  const logs = await openLogs(mine);
  closers.add(() => logs.close());
  return {
    home, controls, deaths, settings: settingsOf('me'),
    stores: { logs, blobs: await openDirectoryBlobs(mine.blobs), close: () => Promise.resolve() },
    renew: () => { for (const [who, old] of files) ours.replace(old, ours.issue(`${who}-renewed`, { names: [...HERE, roleName(who)] })); },
    said: () => ROLES.map((role) => readFileSync(join(home, 'roles', role, 'log.jsonl'), 'utf8')),
    close: closers.close,
  };
}

/** What the services find: a broker, Temporal behind a proxy, keys, and where each other is. */
async function surroundings(home: string, ours: Authority, closers: Closers): Promise<{ readonly [name: string]: string }> {
  const [kafkaPort, scoring, gateway] = (await freePorts(3)) as [number, number, number];
  const kafka = await openSecureKafka(kafkaPort, ours);
  closers.add(() => kafka.dispose());
  const temporal = await startTemporal({ executable: readConfig().tools.temporal, databaseFile: join(home, 'temporal.db'), logFile: join(home, 'temporal.log') });
  closers.add(() => temporal.stop());
  const front = await tlsBefore(temporal.address, ours.issue('temporal', { names: HERE }));
  closers.add(() => front.close());
  const { file, token } = addKey({ seal: newSeal(), keys: [] }, { name: 'me', scopes: ['admin'] });
  writeKeysFile(join(home, 'keys.json'), file);
  writeSecret(join(home, 'token'), `${token}\n`);
  return {
    STEMMA_HOME: home, STEMMA_LOG: `kafka://127.0.0.1:${kafkaPort}`, STEMMA_KAFKA_TLS: 'on', STEMMA_KAFKA_CA_FILE: ours.caFile, STEMMA_KEYS_FILE: join(home, 'keys.json'),
    STEMMA_TEMPORAL_ADDRESS: front.address, STEMMA_TEMPORAL_TLS: 'on', STEMMA_SCORING_PORT: String(scoring), STEMMA_SCORING_ADDRESS: `127.0.0.1:${scoring}`,
    STEMMA_GATEWAY_PORT: String(gateway), STEMMA_GATEWAY_ADDRESS: `127.0.0.1:${gateway}`, STEMMA_GATEWAY_TOKEN_FILE: join(home, 'token'), STEMMA_GATEWAY_CLIENTS: 'required',
  };
}

/** A broker that asks for a certificate on the listener that we use. */
function openSecureKafka(port: number, ours: Authority) {
  const { certFile, keyFile, caFile } = ours.issue('broker', { names: HERE });
  const folder = join(caFile, '..', 'broker-store');
  mkdirSync(folder);
  const store = join(folder, 'server.pem');
  writeFileSync(store, readFileSync(keyFile, 'utf8') + readFileSync(certFile, 'utf8'));
  return openRealKafka(1, {
    differing: ({ listeners, 'advertised.listeners': advertised, 'listener.security.protocol.map': protocols }) => ({
      listeners: `${String(listeners)},SSL://127.0.0.1:${port}`, 'advertised.listeners': `${String(advertised)},SSL://127.0.0.1:${port}`,
      'listener.security.protocol.map': `${String(protocols)},SSL:SSL`, 'ssl.client.auth': 'required',
      'ssl.keystore.type': 'PEM', 'ssl.keystore.location': store, 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': ours.caFile,
    }),
  });
}

interface Front {
  readonly address: string;
  close(): Promise<void>;
}

/** As an authenticating proxy stands before a server that has no TLS of its own: who has no certificate gets nothing through. */
async function tlsBefore(address: string, { certFile, keyFile, caFile }: TlsFiles): Promise<Front> {
  const [host = '', port = ''] = address.split(':');
  const options = { cert: readFileSync(certFile), key: readFileSync(keyFile), ca: readFileSync(caFile), requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] };
  const open = new Set<{ destroy(): unknown }>();
  const server: Server = createServer(options, (outside) => {
    const inside = connect(Number(port), host);
    for (const socket of [outside, inside]) {
      open.add(socket);
      socket.on('error', () => undefined).once('close', () => { open.delete(socket); outside.destroy(); inside.destroy(); });
    }
    outside.pipe(inside).pipe(outside);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
