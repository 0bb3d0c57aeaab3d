/** A real gateway on both transports, before a Temporal that only takes note or a given one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Registry } from 'prom-client';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { openGateway, type OpenGateway } from '../../services/gateway/open-gateway.js';
import type { Steering } from '../../services/gateway/temporal-control.js';
import { openKeyring, type Keyring } from '../../services/runtime/access/keyring.js';
import { addKey, keysFileOrNew, writeKeysFile } from '../../services/runtime/access/keys-file.js';
import type { Scope } from '../../services/runtime/access/scopes.js';
import { readConfig } from '../../services/runtime/config.js';
import { createRegistry } from '../../services/runtime/metrics.js';
import { openTls, type Tls } from '../../services/runtime/tls/tls.js';

export interface RealGateway extends OpenGateway {
  readonly registry: Registry;
  /** Log lines. */
  readonly said: readonly string[];
  /** What reached Temporal's side. */
  readonly taken: { readonly asked: unknown; readonly who: unknown }[];
  readonly tls: Tls | null;
  /** A new key's token. */
  key(name: string, scopes: readonly Scope[]): string;
  refusals(reason: string): Promise<number>;
}

export async function openRealGateway(settings: { readonly [name: string]: string } = {}, steeringOf?: (keyring: Keyring) => Steering): Promise<RealGateway> {
  const home = mkdtempSync(join(tmpdir(), 'stemma-gateway-'));
  const config = readConfig({ STEMMA_HOME: home, STEMMA_TOOLCHAIN: join(home, 'none'), ...settings });
  const said: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void said.push(line) });
  const registry = createRegistry({ processFigures: false });
  const taken: { readonly asked: unknown; readonly who: unknown }[] = [];
  const logs = await openEmbeddedLogs(config.home);
  const blobs = await openDirectoryBlobs(config.blobs);
  const tls = config.tls.certFile === '' ? null : openTls(config.tls, { logger, everyMs: 20 });
  const key = (name: string, scopes: readonly Scope[]): string => {
    const { file, token } = addKey(keysFileOrNew(config.keysFile), { name, scopes });
    writeKeysFile(config.keysFile, file);
    return token;
  };
  const keyring = openKeyring(config.keysFile, logger);
  const gateway = await openGateway({ config, logger, registry, logs, blobs, tls, keyring }, steeringOf?.(keyring) ?? {
    submit: async (asked, who) => void taken.push({ asked, who }),
    control: async (asked, who) => { taken.push({ asked, who }); return { effectiveStep: 3 }; },
  });
  return {
    ...gateway, registry, said, taken, tls, key,
    async refusals(reason) {
      const metric = await registry.getSingleMetric('stemma_gateway_refused_requests_total')?.get();
      return metric?.values.find(({ labels }) => labels['reason'] === reason)?.value ?? 0;
    },
    async close() {
      await gateway.close();
      tls?.close();
      await logs.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
