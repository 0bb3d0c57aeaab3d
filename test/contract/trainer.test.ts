/** What any trainer must do, held against the real sidecar. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packF32, packU32 } from '../../core/log/bytes.js';
import type { StepInput } from '../../core/ports.js';
import { Batch } from '../../proto/gen/stemma/v1/data.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { describeWithSidecar, openRealSidecar, type RealSidecar } from '../support/real-sidecar.js';

const SETTINGS = { learningRate: 0.01, beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0, maxGradientNorm: 1 };

/** Cross-entropy on two short samples in one row. */
function batch(rowsPerMicroBatch = 1, rows = [{ samples: [0, 1] }]): Uint8Array {
  const sample = (member: string, tokens: number[]) => ({
    member, tokens: packU32(tokens),
    terms: [{ weights: packF32(tokens.map((_, t) => (t === 0 ? 0 : 1 / 8))), kind: { $case: 'crossEntropy' as const, value: {} } }],
  });
  return Batch.encode({ samples: [sample('a', [1, 2, 3, 4, 5]), sample('b', [9, 8, 7, 6, 5])], rows, rowsPerMicroBatch }).finish();
}

describeWithSidecar('trainer: sidecar', () => {
  let sidecar: RealSidecar;
  let weights: BlobRef;
  let closed: BlobRef;
  const ask = (parentStateHash: string, change: Partial<StepInput> = {}): StepInput => ({
    parentStateHash, batchId: 'batch-1', batch: closed, settings: SETTINGS, settingsHash: 'settings-1', ...change,
  });

  beforeAll(async () => {
    sidecar = await openRealSidecar();
    ({ weights } = await sidecar.model(1n));
    closed = await sidecar.blobs.put(batch());
  });
  afterAll(() => (sidecar as RealSidecar | undefined)?.close());

  test('a model is a function of its config and seed', async () => {
    expect(await sidecar.model(1n)).toEqual(await sidecar.model(1n));
    expect((await sidecar.model(2n)).weightsHash).not.toBe((await sidecar.model(1n)).weightsHash);
  });

  test('a step changes the state, says what it did, and answers the same when asked again', async () => {
    const start = await sidecar.trainer.restore({ weights });
    expect(start.step).toBe(0);
    const stepped = await sidecar.trainer.step(ask(start.stateHash));
    expect(stepped.step).toBe(1);
    expect(stepped.weightsHash).not.toBe(start.weightsHash);
    expect(stepped.stats.find(({ name }) => name === 'loss')).toBeDefined();
    expect(stepped.sampleStats.length).toBe(2);
    const again = await sidecar.trainer.step(ask(start.stateHash));
    expect({ ...again, computeSeconds: 0, busySeconds: 0 }).toEqual({ ...stepped, computeSeconds: 0, busySeconds: 0 });
    expect((await sidecar.trainer.status()).stateHash).toBe(stepped.stateHash);
  });

  test('another parent is refused as WRONG_PARENT; restored, the step gives the same state', async () => {
    const start = await sidecar.trainer.restore({ weights });
    const first = await sidecar.trainer.step(ask(start.stateHash));
    await expect(sidecar.trainer.step(ask(start.stateHash, { batchId: 'batch-2' }))).rejects.toMatchObject({ boundary: 'trainer', code: 'WRONG_PARENT', retriable: true });
    await sidecar.trainer.restore({ weights });
    expect((await sidecar.trainer.step(ask(start.stateHash))).stateHash).toBe(first.stateHash);
  });

  test('a snapshot goes on where it was, optimizer included', async () => {
    const start = await sidecar.trainer.restore({ weights });
    const first = await sidecar.trainer.step(ask(start.stateHash));
    const snapshot = await sidecar.trainer.snapshot(first.stateHash);
    const second = await sidecar.trainer.step(ask(first.stateHash, { batchId: 'batch-2' }));
    await sidecar.trainer.restore({ weights });
    expect(await sidecar.trainer.restore({ snapshot })).toEqual({ stateHash: first.stateHash, weightsHash: first.weightsHash, step: 1 });
    expect((await sidecar.trainer.step(ask(first.stateHash, { batchId: 'batch-2' }))).stateHash).toBe(second.stateHash);
  });

  test('published weights are what samplers load', async () => {
    const start = await sidecar.trainer.restore({ weights });
    const { weightsHash } = await sidecar.trainer.step(ask(start.stateHash));
    const published = await sidecar.trainer.publishWeights(weightsHash);
    await sidecar.sampler.loadWeights(weightsHash, published);
    const sampled = await sidecar.sampler.sample({
      weightsHash, tokens: Uint32Array.of(1, 2), maxNewTokens: 2, stopTokenIds: [], seed: 1n, greedy: true, temperature: 1, bannedTokenIds: [],
    });
    expect(sampled.weightsHash).toBe(weightsHash);
    expect((await sidecar.trainer.restore({ weights: published })).weightsHash).toBe(weightsHash);
  });

  test('a missing and an altered batch are told apart', async () => {
    const { stateHash } = await sidecar.trainer.restore({ weights });
    await expect(sidecar.trainer.step(ask(stateHash, { batch: { sha256: 'cd'.repeat(32), length: 1n } }))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(sidecar.trainer.step(ask(stateHash, { batch: { ...closed, length: 1n } }))).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  test('status says what it runs on and what it took', async () => {
    const { fingerprintJson, busySeconds, peakMemoryBytes } = await sidecar.trainer.status();
    expect(JSON.parse(fingerprintJson)).toMatchObject({ device: 'cpu', threads: 1 });
    expect(JSON.parse(sidecar.process.fingerprintJson)).toEqual(JSON.parse(fingerprintJson));
    expect(busySeconds).toBeGreaterThan(0);
    expect(peakMemoryBytes).toBeGreaterThan(1e6);
  });

  test('a tokenizer is a function of its corpus; an export is a Hugging Face directory', async () => {
    const corpus = await sidecar.blobs.put(new TextEncoder().encode('one two three\nthree four\n'));
    const tokenizer = await sidecar.trainer.trainTokenizer(corpus, 32, ['<pad>', '<unk>', '<end>']);
    expect(await sidecar.trainer.trainTokenizer(corpus, 32, ['<pad>', '<unk>', '<end>'])).toEqual(tokenizer);
    const directory = join(sidecar.exports, 'model');
    const files = await sidecar.trainer.export(weights, tokenizer, '{{ messages }}', directory);
    expect(files).toEqual(expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']));
    expect(JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'))).toMatchObject({ model_type: 'qwen3' });
  });
});
