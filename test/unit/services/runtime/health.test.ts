import { describe, expect, it, vi } from 'vitest';
import { createHealth } from '../../../../services/runtime/health.js';

describe('health', () => {
  it('is live and not ready until it has started, then both', async () => {
    const health = createHealth();
    health.add({ name: 'log', ask: () => Promise.resolve() });
    expect([await health.live(), await health.ready()]).toEqual([[], ['starting']]);
    health.started();
    expect([await health.live(), await health.ready()]).toEqual([[], []]);
  });

  it('names each check that fails by the first line of why; only those that can wedge end being live', async () => {
    const health = createHealth();
    health.started();
    health.add({ name: 'log', ask: () => Promise.reject(new Error('no broker answers\nat all')), wedgedAfterMs: 60_000 });
    health.add({ name: 'sidecar', ask: () => Promise.reject(new Error('away')) });
    health.add({ name: 'worker', ask: () => Promise.reject(new Error('its worker is FAILED')), wedgedAfterMs: 0 });
    expect(await health.ready()).toEqual(['log: no broker answers', 'sidecar: away', 'worker: its worker is FAILED']);
    expect(await health.live()).toEqual(['worker: its worker is FAILED']);
  });

  it('takes silence for a failure, asks no second time beside it, and is ready again once it is answered', async () => {
    const health = createHealth({ freshMs: 0, answersWithinMs: 20 });
    health.started();
    let asked = 0;
    let answer = (): void => undefined;
    health.add({ name: 'log', wedgedAfterMs: 60, ask: () => { asked += 1; return new Promise<void>((resolve) => { answer = resolve; }); } });
    expect(await health.ready()).toEqual(['log: no answer in time']);
    await vi.waitFor(async () => expect(await health.live()).toEqual(['log: no answer in time']));
    expect(asked).toBe(1);
    answer();
    await vi.waitFor(async () => {
      const ready = health.ready();
      answer();
      expect([await ready, await health.live()]).toEqual([[], []]);
    });
  });
});
