/** Connections to Temporal: the SDK's native one for workers, which takes certificates once and is replaced when they change, and gRPC's for clients. */
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { StemmaError } from '../../core/errors.js';
import { channelTo } from '../runtime/tls/credentials.js';
import type { TlsMaterial } from '../runtime/tls/material.js';
import type { Tls } from '../runtime/tls/tls.js';

export interface TemporalAt {
  /** host:port of Temporal's gRPC endpoint. */
  readonly address: string;
  /** null: plain text. */
  readonly tls: Tls | null;
}

/** Certificates are those that hold when it connects, each time. UNAVAILABLE if the server cannot be reached. */
export function connectClient({ address, tls }: TemporalAt): Promise<Connection> {
  return Connection.connect({ address, ...(tls && { credentials: channelTo(tls, address).credentials, channelArgs: channelTo(tls, address).options }) })
    .catch((error: unknown) => { throw unreachable(address, error); });
}

export interface WorkerConnection {
  current(): NativeConnection;
  /** These workers, and those that are added to them, go over to each new connection; what they are asking for meanwhile ends on the old one. */
  serve(workers: readonly Worker[]): void;
  close(): Promise<void>;
}

/** Between tries to connect with new certificates. */
const TRY_AGAIN_MS = 3_000;

/** UNAVAILABLE if the server cannot be reached. */
export async function connectWorkers(at: TemporalAt, onTrouble: (error: StemmaError) => void): Promise<WorkerConnection> {
  let held = at.tls?.current();
  let connection = await connect(at, held);
  let served: readonly Worker[] = [];
  const closed = new AbortController();
  const replace = async (material: TlsMaterial): Promise<void> => {
    const old = connection;
    connection = await connect(at, material);
    held = material;
    for (const worker of served) worker.connection = connection;
    await old.close();
  };
  const followCertificates = async (): Promise<void> => {
    for (let wanted = at.tls?.current(); wanted && wanted !== held && !closed.signal.aborted; wanted = at.tls?.current()) {
      await replace(wanted).catch(async (error: unknown) => {
        onTrouble(error as StemmaError);
        await delay(TRY_AGAIN_MS, undefined, { signal: closed.signal }).catch(() => undefined);
      });
    }
  };
  let following = Promise.resolve();
  const end = at.tls?.onChange(() => { following = following.then(followCertificates); });
  return {
    current: () => connection,
    serve: (workers) => { served = workers; },
    async close() {
      end?.();
      closed.abort();
      await following;
      await connection.close();
    },
  };
}

async function connect({ address }: TemporalAt, material: TlsMaterial | undefined): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect({ address, ...(material && { tls: nativeTls(material) }) });
  } catch (error) {
    throw unreachable(address, error);
  }
}

/** Away is retriable, whatever the SDK calls it. */
export function unreachable(address: string, error: unknown): StemmaError {
  if (error instanceof StemmaError) return error;
  return new StemmaError('temporal', 'UNAVAILABLE', `Temporal at ${address} cannot be reached: ${(error as Error).message}`,
    'Is the Temporal server up, is this its gRPC address, and do both sides believe each other\'s certificates (STEMMA_TEMPORAL_TLS, STEMMA_TEMPORAL_CA_FILE)?', error);
}

function nativeTls({ identity, authorities }: TlsMaterial): { serverRootCACertificate: Buffer; clientCertPair?: { crt: Buffer; key: Buffer } } {
  return { serverRootCACertificate: authorities, ...(identity && { clientCertPair: { crt: identity.certificate, key: identity.key } }) };
}
