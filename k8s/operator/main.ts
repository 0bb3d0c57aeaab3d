#!/usr/bin/env node
/** The operator as a process: credentials from the pod or KUBECONFIG. It ends with exit code 1 when it leads no more, to be started again. */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { createLogger } from '../../services/runtime/logger.js';
import { createRegistry, serveMetrics } from '../../services/runtime/metrics.js';
import { startOperator } from './operator.js';

const USAGE = 'usage: main.js --image IMAGE [--namespace NS] [--lease-namespace NS] [--host HOST] [--metrics-port PORT]\n';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      image: { type: 'string' }, namespace: { type: 'string' }, 'lease-namespace': { type: 'string', default: 'stemma-system' },
      host: { type: 'string', default: '0.0.0.0' }, 'metrics-port': { type: 'string', default: '9464' },
    },
  });
  if (values.image === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const config = new KubeConfig();
  config.loadFromDefault();
  const logger = createLogger({ service: 'operator', level: 'info', file: '' });
  const registry = createRegistry({ processFigures: true });
  const operator = startOperator({
    config, logger, registry, identity: `${hostname()}-${process.pid}`, leaseNamespace: values['lease-namespace'],
    image: values.image, ...(values.namespace !== undefined && { namespace: values.namespace }),
  });
  const metrics = await serveMetrics({ registry, host: values.host, port: Number(values['metrics-port']), health: operator.health });
  const asked = new Promise<'asked'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('asked'));
  });
  const why = await Promise.race([asked, operator.lost.then(() => 'lost' as const)]);
  if (why === 'lost') logger.warn('the Lease is lost: ending, to be started again');
  await operator.close();
  await metrics.close();
  return why === 'asked' ? 0 : 1;
}

process.exitCode = await main();
