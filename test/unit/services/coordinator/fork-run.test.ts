/** Making a fork of a real run, interrupted anywhere and made again. */
import { describe, expect, it } from 'vitest';
import { runStream, stageStream } from '../../../../core/log/keys.js';
import type { RunLogs, StoredEvent } from '../../../../core/ports.js';
import { runFold } from '../../../../core/run/run.js';
import { forkRun, planFork } from '../../../../services/coordinator/fork-run.js';
import { readFold } from '../../../../services/runtime/record-fact.js';
import { committedRun, memoryLogs } from '../../../support/committed-run.js';

const PARENT = 'micro-s1-1-f1';
const FORK = 'forked';
const AT = { parent: PARENT, stage: 'search-rl', step: 1, settings: [{ path: 'learningRate', value: 0.0001 }] };
const committed = committedRun('v1');
const FINGERPRINT = { cpuCapability: 'AVX512', cuda: null, device: 'cpu', dtype: 'float32', format: 1, machine: 'x86_64', threads: 2, torch: '2.13.0+cu130' };

/** Makes the fork; the append with this number, counted from 0, fails after it has landed. */
async function fork(logs: RunLogs, failing = Infinity, fingerprint: object = FINGERPRINT): Promise<void> {
  const trainer = { status: () => Promise.resolve({ fingerprintJson: JSON.stringify(fingerprint), stateHash: '', weightsHash: '', busySeconds: 0, peakMemoryBytes: 0 }) };
  const log = await logs.open(FORK, 'write');
  let appends = 0;
  const plan = await planFork({ logs, blobs: committed.blobs }, AT);
  await forkRun({ logs, trainer }, {
    ...log,
    async append(events) {
      await log.append(events);
      appends += 1;
      if (appends > failing) throw new Error('killed');
    },
  }, { run: FORK, plan, who: { by: 'test', origin: '' } });
}

const newLogs = (): RunLogs => memoryLogs(PARENT, committed.events());
async function contents(logs: RunLogs): Promise<{ ids: string[]; run: StoredEvent[] }> {
  const log = await logs.open(FORK, 'read');
  const stages = await Promise.all(['sft', 'search-rl', 'science-sft1'].map((stage) => log.readStream(stageStream(FORK, stage))));
  const run = [...await log.readStream(runStream(FORK))];
  return { ids: [...run, ...stages.flat()].map(({ event }) => event.id), run };
}

describe('making a fork', () => {
  it('copies what is shared, first who it is a fork of and last that it is a run', async () => {
    const logs = newLogs();
    await fork(logs);
    const { run } = await contents(logs);
    expect(run.map(({ event: { payload } }) => payload?.$case)).toEqual(['runForked', 'stageStarted', 'stageFinished', 'evaluationFinished', 'stageStarted', 'settingAmended', 'settingAmended', 'runCreated']);
    expect(run.at(-1)?.event.payload?.value).toMatchObject({ run: FORK, recipe: 'micro' });
    expect(run[6]?.event.payload?.value ?? run[5]?.event.payload?.value).toMatchObject({ stage: 'search-rl', fromStep: 2, path: 'optimizer.learningRate', valueJson: '0.0001' });
    const log = await logs.open(FORK, 'read');
    expect((await log.readStream(stageStream(FORK, 'science-sft1'))).length).toBe(0);
  });

  it('interrupted after any append, is made again to the same log', async () => {
    const whole = newLogs();
    await fork(whole);
    const expected = await contents(whole);
    for (const failing of [0, 1, 20, 41]) {
      const logs = newLogs();
      await expect(fork(logs, failing)).rejects.toThrow('killed');
      const state = (await readFold(await logs.open(FORK, 'read'), runStream(FORK), runFold)).state;
      expect([state.forked?.parentRun, state.created]).toEqual([PARENT, undefined]);
      await fork(logs);
      expect((await contents(logs)).ids).toEqual(expected.ids);
    }
  });

  it('is refused on another device, before anything is written', async () => {
    const logs = newLogs();
    await expect(fork(logs, Infinity, { ...FINGERPRINT, threads: 9 })).rejects.toMatchObject({ code: 'INVALID', boundary: 'setup' });
    expect((await contents(logs)).ids).toEqual([]);
  });
});
