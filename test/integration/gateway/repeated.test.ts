/** A request that is sent many times at once, over both transports of a real gateway before a real Temporal, has one effect. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlServiceClient } from '../../../proto/gen/stemma/v1/control.js';
import { bearer } from '../../../services/gateway/client.js';
import { temporalControl } from '../../../services/gateway/temporal-control.js';
import { callUnary, PLAIN_CHANNEL } from '../../../services/runtime/grpc.js';
import { inMemoryRun } from '../../support/in-memory-run.js';
import { openRealGateway, type RealGateway } from '../../support/real-gateway.js';
import { openTemporalBench, type TemporalBench } from '../../support/temporal-bench.js';
import { findTemporal, NO_TEMPORAL } from '../../support/temporal-executable.js';

const executable = findTemporal();
const RUN = 'repeated-1';
const TIMES = 6;

describe.skipIf(executable === undefined)(`a repeated request${executable === undefined ? ` (${NO_TEMPORAL})` : ''}`, () => {
  let bench: TemporalBench;
  let gateway: RealGateway;
  let client: ControlServiceClient;
  let token: string;
  const calls: string[] = [];
  let open!: () => void;
  const opened = new Promise<void>((resolve) => { open = resolve; });
  const held = inMemoryRun({
    on: async ({ name, stage, step }) => {
      calls.push(name);
      if (name === 'advanceRl' && stage === 'rl-search' && step === 1) await opened;
    },
  });
  beforeAll(async () => {
    bench = await openTemporalBench(executable as string);
    await bench.host(held.activities);
    gateway = await openRealGateway({}, (keyring) => temporalControl(bench.client, keyring));
    token = gateway.key('chief', ['admin']);
    client = new ControlServiceClient(gateway.address, PLAIN_CHANNEL.credentials, PLAIN_CHANNEL.options);
  });
  afterAll(async () => {
    open();
    client?.close();
    await gateway?.close();
    await bench?.close();
  });

  const grpc = { boundary: 'gateway', timeoutMs: 60_000 } as const;
  async function overHttp(method: string, body: object): Promise<unknown> {
    const response = await fetch(`${gateway.url}/stemma.v1.ControlService/${method}`, { method: 'POST', body: JSON.stringify(body), headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(200);
    return response.json();
  }

  it('of submission starts one run', async () => {
    const request = { recipe: 'tiny', seed: 1n, requestId: RUN, fork: undefined };
    const answers = await Promise.all(Array.from({ length: TIMES }, (_, i) => (i % 2 === 0
      ? callUnary(client.submitRun.bind(client), request, { ...grpc, metadata: bearer(token) }) : overHttp('SubmitRun', { recipe: 'tiny', seed: '1', requestId: RUN }))));
    expect(answers).toEqual(Array.from({ length: TIMES }, () => ({ run: RUN })));
    await expect.poll(() => calls.includes('advanceRl'), { timeout: 60_000 }).toBe(true);
    expect(calls.filter((name) => name === 'openRun')).toHaveLength(1);
  });

  it.each([
    ['amend', { stage: 'distill', path: 'optimizer.learningRate', valueJson: '0.1' }, 2], ['pause', { stage: '', path: '', valueJson: '' }, 0],
  ])('to %s is one fact', async (action, what, effectiveStep) => {
    const before = calls.filter((name) => name === 'recordControl').length;
    const request = { run: RUN, updateId: `the-same-${action}`, action, ...what };
    const answers = await Promise.all(Array.from({ length: TIMES }, (_, i) => (i % 2 === 0
      ? callUnary(client.controlRun.bind(client), request, { ...grpc, metadata: bearer(token) }) : overHttp('ControlRun', request))));
    expect(answers.map((answer) => Number((answer as { effectiveStep?: unknown }).effectiveStep ?? 0))).toEqual(Array.from({ length: TIMES }, () => effectiveStep));
    expect(calls.filter((name) => name === 'recordControl').length - before).toBe(1);
    expect(held.facts.controls.get(request.updateId)).toMatchObject({ action, by: 'chief', origin: '127.0.0.1' });
  });
});
