import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { counter, createRegistry, gauge, histogram, serveMetrics } from '../../../../services/runtime/metrics.js';

describe('metrics', () => {
  it('holds the naming', () => {
    const registry = createRegistry({ processFigures: false });
    expect(() => counter(registry, { name: 'stemma_turns', help: 'h' })).toThrow(/_total/);
    expect(() => gauge(registry, { name: 'stemma_turns_total', help: 'h' })).toThrow(/_total/);
    expect(() => histogram(registry, { name: 'stemma_turn_latency_ms', help: 'h' })).toThrow(/base unit/);
    expect(() => counter(registry, { name: 'turns_total', help: 'h' })).toThrow(/stemma_/);
  });

  it('keeps registries apart', () => {
    const spec = { name: 'stemma_turns_total', help: 'h' };
    const [a, b] = [createRegistry({ processFigures: false }), createRegistry({ processFigures: false })];
    expect(counter(a, spec)).not.toBe(counter(b, spec));
  });

  it('serves /metrics, /healthz and /readyz on loopback', async () => {
    const registry = createRegistry({ processFigures: false });
    counter(registry, { name: 'stemma_turns_total', help: 'Turns.', labels: ['domain'] }).inc({ domain: 'search' }, 3);
    let [live, ready]: [string[], string[]] = [[], []];
    const server = await serveMetrics({ registry, host: '127.0.0.1', port: 0, health: { live: async () => live, ready: async () => ready } });
    try {
      expect(await (await fetch(server.url)).text()).toContain('stemma_turns_total{domain="search"} 3');
      const says = async (path: string): Promise<[number, string]> => {
        const answer = await fetch(`http://127.0.0.1:${server.port}${path}`);
        return [answer.status, await answer.text()];
      };
      expect([await says('/healthz'), await says('/readyz')]).toEqual([[200, 'ok\n'], [200, 'ok\n']]);
      ready = ['log: away', 'sidecar: away'];
      expect([await says('/healthz'), await says('/readyz')]).toEqual([[200, 'ok\n'], [503, 'log: away\nsidecar: away\n']]);
      live = ['worker: ended'];
      expect(await says('/healthz')).toEqual([503, 'worker: ended\n']);
      expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(404);
    } finally {
      await server.close();
    }
  });

  it('says that a port is in use and what to do', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    await expect(serveMetrics({ registry: createRegistry({ processFigures: false }), host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'UNAVAILABLE', message: `port ${port} is in use`, remedy: expect.stringContaining('STEMMA_METRICS_PORT') as string,
    });
    await new Promise((resolve) => other.close(resolve));
  });
});
