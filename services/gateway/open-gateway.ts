/** The gateway of a process: both transports behind one guard. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { Stores } from '../cli/platform.js';
import type { Keyring } from '../runtime/access/keyring.js';
import type { Config } from '../runtime/config.js';
import { grpcMetrics } from '../runtime/grpc-metrics.js';
import type { Logger } from '../runtime/logger.js';
import { openIssuer } from '../runtime/access/issuer.js';
import { serverCredentials } from '../runtime/tls/credentials.js';
import type { Tls } from '../runtime/tls/tls.js';
import { createControlApi } from './control-api.js';
import { createGuard } from './guard.js';
import { serveHttpGateway } from './http.js';
import { serveGateway } from './server.js';
import type { Steering } from './temporal-control.js';

export interface GatewayBase extends Pick<Stores, 'logs' | 'blobs'> {
  readonly config: Config;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly keyring: Keyring;
  /** null: plain text. */
  readonly tls: Tls | null;
}

export interface OpenGateway {
  /** host:port of gRPC. */
  readonly address: string;
  /** http://host:port of HTTP/JSON, or https://. */
  readonly url: string;
  close(): Promise<void>;
}

export async function openGateway({ config, logs, blobs, tls, ...base }: GatewayBase, steering: Steering): Promise<OpenGateway> {
  const api = createControlApi({ logs, blobs, ...steering });
  const guard = createGuard({ ...base, issuer: config.oidc === null ? null : openIssuer(config.oidc, base) });
  const secured = tls && { tls, clients: config.gatewayClients };
  const openapi = await readFile(join(config.packageRoot, 'proto', 'openapi.json'), 'utf8');
  const grpc = await serveGateway(api, guard, {
    host: config.listenHost, port: config.ports.gateway, interceptors: [grpcMetrics(base.registry)], ...(secured && { credentials: serverCredentials(tls, config.gatewayClients) }),
  });
  try {
    const http = await serveHttpGateway(api, guard, { host: config.listenHost, port: config.ports.http, secured, openapi });
    return {
      address: grpc.address, url: http.url,
      async close() {
        await http.close();
        await grpc.close();
      },
    };
  } catch (error) {
    await grpc.close();
    throw error;
  }
}
