/** kill -9 of the real sidecar: adapters find it again on its port, and what was interrupted comes out the same. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { StemmaError } from '../../../core/errors.js';
import type { SampleInput, Sampled } from '../../../core/ports.js';
import type { BlobRef } from '../../../proto/gen/stemma/v1/events.js';
import { patientSampler } from '../../../services/rollout/patient-sampler.js';
import { startSidecar } from '../../../services/runtime/sidecar-process.js';
import { TINY_MODEL, VOCABULARY_SIZE, describeWithSidecar, openRealSidecar, type RealSidecar } from '../../support/real-sidecar.js';
import { openRolloutBench, type RolloutBench } from '../../support/rollout-run.js';

describeWithSidecar('a sidecar that is killed', () => {
  let sidecar: RealSidecar;
  let bench: RolloutBench;
  let model: { weightsHash: string; weights: BlobRef };

  beforeAll(async () => {
    sidecar = await openRealSidecar();
    bench = await openRolloutBench(4);
    const config = { ...(JSON.parse(TINY_MODEL) as object), vocab_size: bench.chat.vocabularySize + 64, max_position_embeddings: 512 };
    model = await sidecar.trainer.initializeModel(JSON.stringify(config), 5n);
  });
  afterAll(async () => {
    await (sidecar as RealSidecar | undefined)?.close();
    await (bench as RolloutBench | undefined)?.[Symbol.asyncDispose]();
  });

  const killed = (): Promise<void> => new Promise((back) => {
    sidecar.process.onRestart(back);
    process.kill(sidecar.process.pid(), 'SIGKILL');
  });

  test('pending requests reject as retriable; asked again, with the weights loaded again, they get the same tokens', async () => {
    const inputs = Array.from({ length: 32 }, (_, index): SampleInput => ({
      weightsHash: model.weightsHash, tokens: Uint32Array.of(1 + (index % VOCABULARY_SIZE), 3), maxNewTokens: 60, stopTokenIds: [], seed: BigInt(index),
      greedy: false, temperature: 1, bannedTokenIds: [],
    }));
    const patient = patientSampler(sidecar.sampler, model.weights, { withinMs: 60_000, onRetry: () => undefined });
    const before = await Promise.all(inputs.map((input) => patient.sample(input)));
    const pending = inputs.map((input) => sidecar.sampler.sample(input).then((sampled) => sampled, (error: unknown) => error as StemmaError));
    const { address } = sidecar.process;
    const back = killed();
    const outcomes: (Sampled | StemmaError)[] = await Promise.all(pending);
    const lost = outcomes.filter((outcome) => outcome instanceof StemmaError);
    expect(lost.length).toBeGreaterThan(0);
    for (const error of lost) expect(error).toMatchObject({ boundary: 'sampler', code: 'UNAVAILABLE', retriable: true });
    expect(await Promise.all(inputs.map((input) => patient.sample(input)))).toEqual(before);
    await back;
    expect(sidecar.process.address).toBe(address);
  });

  test('a shard killed in the middle ends as an undisturbed one', async () => {
    const request = { weightsHash: model.weightsHash, weights: model.weights };
    await bench.newRun('undisturbed', request);
    await bench.newRun('disturbed', request);
    const activities = bench.activities({ sampler: sidecar.sampler, samplerPatienceMs: 60_000 });
    await activities.rolloutShard(bench.shard('undisturbed'));
    let turns = 0;
    let back: Promise<void> | undefined;
    const killing = { ...sidecar.sampler, sample: (input: SampleInput) => { if (++turns === 6) back = killed(); return sidecar.sampler.sample(input); } };
    await bench.activities({ sampler: killing, samplerPatienceMs: 60_000 }).rolloutShard(bench.shard('disturbed'));
    expect(back).toBeDefined();
    await back;
    expect(await bench.states('disturbed')).toEqual(await bench.states('undisturbed'));
  });

  test('its trainer comes back empty and says so', async () => {
    const start = await sidecar.trainer.restore({ weights: model.weights });
    await killed();
    expect((await sidecar.trainer.status()).stateHash).toBe('');
    expect(await sidecar.trainer.restore({ weights: model.weights })).toEqual(start);
  });
});

describeWithSidecar('a sidecar that cannot start', () => {
  test('says why, with its last lines, and leaves its log', async () => {
    await using bench = await openRolloutBench(1);
    const logFile = join(bench.directory, 'sidecar.log');
    const started = startSidecar({
      python: process.execPath, kernelsDirectory: bench.directory, blobs: bench.directory, threads: 1, logFile,
    });
    await expect(started).rejects.toMatchObject({ boundary: 'setup', code: 'UNAVAILABLE', message: expect.stringContaining('sidecar ended before it was ready') as string });
    await vi.waitFor(async () => expect(await readFile(logFile, 'utf8')).not.toBe(''));
  });
});
