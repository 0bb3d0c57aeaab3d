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

  it('serves /metrics and /healthz on loopback', async () => {
    const registry = createRegistry({ processFigures: false });
    counter(registry, { name: 'stemma_turns_total', help: 'Turns.', labels: ['domain'] }).inc({ domain: 'search' }, 3);
    let problem: string | null = null;
    const server = await serveMetrics({ registry, host: '127.0.0.1', port: 0, health: () => problem });
    try {
      expect(await (await fetch(server.url)).text()).toContain('stemma_turns_total{domain="search"} 3');
      const health = `http://127.0.0.1:${server.port}/healthz`;
      expect((await fetch(health)).status).toBe(200);
      problem = 'the sidecar is down';
      const unwell = await fetch(health);
      expect([unwell.status, await unwell.text()]).toEqual([503, 'the sidecar is down\n']);
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
