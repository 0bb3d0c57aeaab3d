/** The one place that maps the setting to a log: everything that reads or writes events opens it here. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { StemmaError } from '../../core/errors.js';
import type { RunLogs } from '../../core/ports.js';
import { openEmbeddedLogs } from '../adapters/log/embedded.js';
import { openKafkaLogs, type KafkaOptions } from '../adapters/log/kafka.js';
import type { Config, KafkaSecurity } from './config.js';
import type { TlsFiles } from './security-settings.js';
import { readTlsMaterial, type Identity } from './tls/material.js';
import type { Logger } from './logger.js';

export interface OpenLogs extends RunLogs {
  close(): Promise<void>;
}

/** `index`: the folder under the home where a Kafka log keeps what it reads from; may be shared by processes of one machine. */
export async function openLogs(config: Pick<Config, 'home' | 'log'> & Partial<Pick<Config, 'tls'>>, logger?: Logger, index = 'index'): Promise<OpenLogs> {
  const { home, log } = config;
  if (log.kind === 'embedded') return openEmbeddedLogs(join(home, 'log'));
  return openKafkaLogs({
    brokers: log.brokers, indexDirectory: join(home, index), ...(await credentials(log.security, config.tls)),
    // Its errors are retries in progress; what comes of them is thrown.
    onLog: (level, message) => logger?.debug({ level }, message),
  });
}

async function credentials({ tls, caFile, sasl, user, passwordFile }: KafkaSecurity, own?: TlsFiles): Promise<Pick<KafkaOptions, 'tls' | 'sasl'>> {
  const trusted: ConnectionOptions = caFile === '' ? {} : { ca: await readText(caFile, 'STEMMA_KAFKA_CA_FILE') };
  if (own && own.certFile !== '') showCertificate(trusted, own);
  return {
    ...(tls ? { tls: trusted } : {}),
    ...(sasl === 'none' ? {} : { sasl: { mechanism: sasl, username: user, password: (await readText(passwordFile, 'STEMMA_KAFKA_PASSWORD_FILE')).trimEnd() } }),
  };
}

/** To a broker that asks for it: read anew for each connection, so that a new one needs no restart. One that cannot be read is not shown. */
function showCertificate(options: ConnectionOptions, files: TlsFiles): void {
  let last = readTlsMaterial(files, Date.now()).identity;
  const identity = (): Identity | null => {
    try {
      last = readTlsMaterial(files, Date.now()).identity;
    } catch { /* the watcher of the same files says so; the old one goes on */ }
    return last;
  };
  Object.defineProperty(options, 'cert', { enumerable: true, get: () => identity()?.certificate });
  Object.defineProperty(options, 'key', { enumerable: true, get: () => last?.key });
}

function readText(file: string, setting: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    // Neither the path nor the error that holds it: it may be the password itself, put where its file belongs.
    throw new StemmaError('setup', 'INVALID', `${setting}: the file cannot be read (${error.code ?? 'unknown'})`, 'Name a file there, by a path that exists and may be read.');
  });
}
