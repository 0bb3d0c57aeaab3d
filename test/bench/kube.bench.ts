/**
 * npm run bench:kube: many TrainingRuns at once, against a real API server and a real gateway, without pods. How long until all go on, what that
 * costs in calls, what it costs when nothing changes any more, and what the operator's heap holds of it. STEMMA_TEST_RUNS sets how many.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pathOf } from '../../k8s/operator/resources.js';
import type { TrainingRun } from '../../k8s/operator/training-run.js';
import { describeWithKube, openRealKube, type RealKube } from '../support/real-kube.js';
import { startTestOperator, type TestOperator } from '../support/test-operator.js';
import { openToldGateway, type ToldGateway } from '../support/told-gateway.js';

const RUNS = Number(process.env['STEMMA_TEST_RUNS'] ?? '1000');
const TOGETHER = 50;
const NAMESPACE = 'default';
const REST_MS = 30_000;
const LOOK_EVERY_MS = 10_000;

describeWithKube(`${RUNS} TrainingRuns`, () => {
  let kube: RealKube;
  let gateway: ToldGateway;
  let operator: TestOperator;

  beforeAll(async () => {
    kube = await openRealKube();
    gateway = await openToldGateway();
    await kube.installKinds();
  });
  afterAll(async () => {
    await operator?.close();
    await gateway?.close();
    await kube?.dispose();
  });

  const running = async (): Promise<number> => {
    const { items } = await kube.api.call<{ items: TrainingRun[] }>({ method: 'GET', path: pathOf('TrainingRun', NAMESPACE) });
    return items.filter(({ status }) => status?.phase === 'Running').length;
  };
  const heapMiB = (): number => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed / 2 ** 20;
  };

  test('all go on; then nothing is written', async () => {
    for (let at = 0; at < RUNS; at += TOGETHER) {
      await Promise.all(Array.from({ length: Math.min(TOGETHER, RUNS - at) }, (_, i) => kube.api.call({
        method: 'POST', path: pathOf('TrainingRun', NAMESPACE), body: {
          apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name: `run-${at + i}` }, spec: { recipe: { name: 'micro' }, embedded: true },
        },
      })));
    }
    const before = heapMiB();
    const startedAt = performance.now();
    operator = startTestOperator(kube, { namespace: NAMESPACE, gateway: gateway.address, timing: { lookEveryMs: LOOK_EVERY_MS, relistSeconds: 15 } });
    while (await running() < RUNS) await new Promise((resolve) => setTimeout(resolve, 500));
    const seconds = (performance.now() - startedAt) / 1000;
    const calls = operator.calls.length;
    const writes = operator.writes().length;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const [callsAtRest, writesAtRest, looks] = [operator.calls.length, operator.writes().length, gateway.asked()];
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    const rest = { calls: operator.calls.length - callsAtRest, writes: operator.writes().length - writesAtRest, looks: gateway.asked() - looks };
    console.log([
      '| runs | all go on after s | calls a run | writes a run | heap KiB a run | in 30 s of rest: looks | lists | writes |', '|---|---|---|---|---|---|---|---|',
      `| ${RUNS} | ${seconds.toFixed(1)} | ${(calls / RUNS).toFixed(1)} | ${(writes / RUNS).toFixed(1)} | ${((heapMiB() - before) * 1024 / RUNS).toFixed(0)} | ${rest.looks} | ${rest.calls - rest.writes} | ${rest.writes} |`,
    ].join('\n'));
    expect(rest.writes).toBe(0);
    expect(new Set(gateway.submitted).size).toBe(RUNS);
  });
});
