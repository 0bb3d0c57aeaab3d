/** The gateway of a process: both transports behind one guard. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { Stores } from '../cli/platform.js';
import type { Keyring } from '../runtime/access/keyring.js';
import type { Config } from '../runtime/config.js';
import { grpcMetrics } from '../runtime/grpc-metrics.js';
import type { Logger } from '../runtime/logger.js';
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
}

export interface OpenGateway {
  /** host:port of gRPC. */
  readonly address: string;
  /** http://host:port of HTTP/JSON. */
  readonly url: string;
  close(): Promise<void>;
}

export async function openGateway({ config, logs, blobs, ...base }: GatewayBase, steering: Steering): Promise<OpenGateway> {
  const api = createControlApi({ logs, blobs, ...steering });
  const guard = createGuard(base);
  const openapi = await readFile(join(config.packageRoot, 'proto', 'openapi.json'), 'utf8');
  const grpc = await serveGateway(api, guard, { host: config.listenHost, port: config.ports.gateway, interceptors: [grpcMetrics(base.registry)] });
  try {
    const http = await serveHttpGateway(api, guard, { host: config.listenHost, port: config.ports.http, openapi });
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
