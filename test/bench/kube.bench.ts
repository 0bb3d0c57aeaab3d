/**
 * npm run bench:kube: many TrainingRuns at once, against a real API server and a real gateway: without pods, and with a pod each that is
 * scheduled onto nodes which kwok plays. How long until all go on, what that costs in calls, what it costs when nothing changes any more, and
 * what the operator's heap holds of it. STEMMA_TEST_RUNS sets how many.
 */
import { afterEach, expect, test } from 'vitest';
import { pathOf } from '../../k8s/operator/resources.js';
import type { TrainingRun } from '../../k8s/operator/training-run.js';
import { describeWithKube, openRealKube, type RealKube } from '../support/real-kube.js';
import { CONTROLLERS, describeWithNodes, openNodes } from '../support/simulated-nodes.js';
import { startTestOperator } from '../support/test-operator.js';
import { openToldGateway, type ToldGateway } from '../support/told-gateway.js';

const RUNS = Number(process.env['STEMMA_TEST_RUNS'] ?? '1000');
const TOGETHER = 50;
const NAMESPACE = 'default';
const REST_MS = 30_000;
const LOOK_EVERY_MS = 10_000;

describeWithKube(`${RUNS} TrainingRuns`, () => {
  const opened: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close();
  });
  const open = async (controllers: readonly string[]): Promise<Bench> => {
    const kube = await openRealKube({ controllers });
    opened.push(() => kube.dispose());
    const gateway = await openToldGateway();
    opened.push(() => gateway.close());
    await kube.installKinds();
    return { kube, gateway, closeLater: (close) => opened.push(close) };
  };

  test('without pods: all go on; then nothing is written', async () => {
    await measure('none', await open([]), running);
  });

  describeWithNodes('on simulated nodes', () => {
    test('each with a pod: all go on; then nothing is written', async () => {
      const bench = await open(CONTROLLERS);
      const nodes = await openNodes(bench.kube, { pods: RUNS });
      bench.closeLater(() => nodes.close());
      await measure('one a run', bench, async (kube) => Math.min(await running(kube), await readyPods(kube)));
    });
  });
});

interface Bench {
  readonly kube: RealKube;
  readonly gateway: ToldGateway;
  closeLater(close: () => Promise<void>): void;
}

async function measure(pods: string, { kube, gateway, closeLater }: Bench, goOn: (kube: RealKube) => Promise<number>): Promise<void> {
  await createRuns(kube);
  const before = heapMiB();
  const startedAt = performance.now();
  const operator = startTestOperator(kube, { namespace: NAMESPACE, gateway: gateway.address, timing: { lookEveryMs: LOOK_EVERY_MS, relistSeconds: 15 } });
  closeLater(() => operator.close());
  while (await goOn(kube) < RUNS) await new Promise((resolve) => setTimeout(resolve, 500));
  const seconds = (performance.now() - startedAt) / 1000;
  const calls = operator.calls.length;
  const writes = operator.writes().length;
  await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  const [callsAtRest, writesAtRest, looks] = [operator.calls.length, operator.writes().length, gateway.asked()];
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const rest = { calls: operator.calls.length - callsAtRest, writes: operator.writes().length - writesAtRest, looks: gateway.asked() - looks };
  console.log([
    '| runs | pods | all go on after s | calls a run | writes a run | heap KiB a run | in 30 s of rest: looks | lists | writes |', '|---|---|---|---|---|---|---|---|---|',
    `| ${RUNS} | ${pods} | ${seconds.toFixed(1)} | ${(calls / RUNS).toFixed(1)} | ${(writes / RUNS).toFixed(1)} | ${((heapMiB() - before) * 1024 / RUNS).toFixed(0)} | ${rest.looks} | ${rest.calls - rest.writes} | ${rest.writes} |`,
  ].join('\n'));
  expect(rest.writes).toBe(0);
  expect(new Set(gateway.submitted).size).toBe(RUNS);
}

async function createRuns(kube: RealKube): Promise<void> {
  for (let at = 0; at < RUNS; at += TOGETHER) {
    await Promise.all(Array.from({ length: Math.min(TOGETHER, RUNS - at) }, (_, i) => kube.api.call({
      method: 'POST', path: pathOf('TrainingRun', NAMESPACE), body: {
        apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name: `run-${at + i}` }, spec: { recipe: { name: 'micro' }, embedded: true },
      },
    })));
  }
}

async function running(kube: RealKube): Promise<number> {
  const { items } = await kube.api.call<{ items: TrainingRun[] }>({ method: 'GET', path: pathOf('TrainingRun', NAMESPACE) });
  return items.filter(({ status }) => status?.phase === 'Running').length;
}

async function readyPods(kube: RealKube): Promise<number> {
  interface Pod { readonly spec: { readonly nodeName?: string }; readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] } }
  const { items } = await kube.api.call<{ items: Pod[] }>({ method: 'GET', path: `/api/v1/namespaces/${NAMESPACE}/pods` });
  return items.filter(({ spec, status }) => spec.nodeName !== undefined && status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True')).length;
}

function heapMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
