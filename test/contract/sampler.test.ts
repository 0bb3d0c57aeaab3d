/** What any sampler must do, held against the real sidecar. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SampleInput } from '../../core/ports.js';
import { joined, restOf } from '../../services/rollout/turn-parts.js';
import { VOCABULARY_SIZE, describeWithSidecar, openRealSidecar, type RealSidecar } from '../support/real-sidecar.js';

describeWithSidecar('sampler: sidecar', () => {
  let sidecar: RealSidecar;
  let weightsHash: string;
  const ask = (change: Partial<SampleInput> = {}): SampleInput => ({
    weightsHash, tokens: Uint32Array.of(5, 6, 7), maxNewTokens: 6, stopTokenIds: [], seed: 42n, greedy: false, temperature: 1, bannedTokenIds: [], ...change,
  });

  beforeAll(async () => {
    sidecar = await openRealSidecar();
    const model = await sidecar.model(1n);
    weightsHash = model.weightsHash;
    await sidecar.sampler.loadWeights(weightsHash, model.weights);
  });
  afterAll(() => (sidecar as RealSidecar | undefined)?.close());

  test('same input, same tokens and log-probabilities; another seed, other tokens', async () => {
    const first = await sidecar.sampler.sample(ask());
    expect(await sidecar.sampler.sample(ask())).toEqual(first);
    expect(first).toMatchObject({ weightsHash, finish: 'length' });
    expect(first.tokens.length).toBe(6);
    expect(first.logprobs.every((logprob) => logprob < 0)).toBe(true);
    const others = await Promise.all([1n, 2n, 3n].map((seed) => sidecar.sampler.sample(ask({ seed }))));
    expect(new Set(others.map(({ tokens }) => String(tokens))).size).toBe(3);
  });

  test('neighbours in the batch change nothing, bit for bit', async () => {
    const inputs = Array.from({ length: 24 }, (_, index) => ask({ seed: BigInt(index), tokens: Uint32Array.from({ length: 2 + (index % 7) }, (_, t) => (index * 5 + t) % VOCABULARY_SIZE) }));
    const alone = [];
    for (const input of inputs) alone.push(await sidecar.sampler.sample(input));
    expect(await Promise.all(inputs.map((input) => sidecar.sampler.sample(input)))).toEqual(alone);
  });

  test('a turn taken up again from its prefix goes on the same', async () => {
    const first = await sidecar.sampler.sample(ask());
    const prefix = Uint32Array.of(5, 6, 7, ...first.tokens, 9);
    const next = await sidecar.sampler.sample(ask({ tokens: prefix, seed: 43n }));
    expect(await sidecar.sampler.sample(ask({ tokens: prefix, seed: 43n }))).toEqual(next);
  });

  test('interrupted, it answers soon with what it has; the rest of the turn follows from there', async () => {
    const cut = AbortSignal.abort();
    const whole = await sidecar.sampler.sample(ask({ maxNewTokens: 100 }));
    const part = await sidecar.sampler.sample(ask({ maxNewTokens: 100 }), cut);
    expect(part.finish).toBe('interrupted');
    expect(part.tokens.length).toBeLessThan(100);
    const { weightsHash: _, ...turn } = ask({ maxNewTokens: 100 });
    const rest = await sidecar.sampler.sample({ ...restOf(turn, [part]), weightsHash });
    expect([...joined([part, rest]).tokens]).toEqual([...whole.tokens]);
  });

  test('a stop token ends the turn and is part of it', async () => {
    const { tokens } = await sidecar.sampler.sample(ask());
    const stopped = await sidecar.sampler.sample(ask({ stopTokenIds: [tokens[2]!] }));
    const end = tokens.indexOf(tokens[2]!) + 1;
    expect(stopped.finish).toBe('stop');
    expect([...stopped.tokens]).toEqual([...tokens.slice(0, end)]);
  });

  test('banned tokens are never sampled, and the log-probabilities stay those of the whole vocabulary', async () => {
    const bannedTokenIds = Array.from({ length: VOCABULARY_SIZE }, (_, id) => id).filter((id) => id !== 11);
    const { tokens, logprobs } = await sidecar.sampler.sample(ask({ bannedTokenIds }));
    expect(new Set(tokens)).toEqual(new Set([11]));
    expect(logprobs.every((logprob) => logprob < -1)).toBe(true);
  });

  test('greedy needs no seed', async () => {
    const [a, b] = await Promise.all([1n, 2n].map((seed) => sidecar.sampler.sample(ask({ seed, greedy: true }))));
    expect(a).toEqual(b);
  });

  test('temperature changes what is sampled, not the scale of the log-probabilities', async () => {
    const cold = await sidecar.sampler.sample(ask({ temperature: 1e-4 }));
    const greedy = await sidecar.sampler.sample(ask({ greedy: true }));
    expect([...cold.tokens]).toEqual([...greedy.tokens]);
    expect([...cold.logprobs]).toEqual([...greedy.logprobs]);
  });

  test('unknown weights are asked for by their name', async () => {
    await expect(sidecar.sampler.sample(ask({ weightsHash: 'sha256:unknown' }))).rejects.toMatchObject({ boundary: 'sampler', code: 'WEIGHTS_NOT_LOADED', retriable: true });
  });

  test('impossible requests are refused, and spoil nothing for others', async () => {
    const impossible: Partial<SampleInput>[] = [
      { tokens: new Uint32Array(0) }, { maxNewTokens: 0 }, { tokens: Uint32Array.of(VOCABULARY_SIZE) }, { temperature: 0 },
    ];
    const fine = sidecar.sampler.sample(ask());
    for (const change of impossible) await expect(sidecar.sampler.sample(ask(change))).rejects.toMatchObject({ code: 'INVALID', retriable: false });
    expect((await fine).tokens.length).toBe(6);
  });

  test('a weights blob that is missing, or is another\'s, is refused', async () => {
    await expect(sidecar.sampler.loadWeights(weightsHash.replace(/.$/, 'x'), { sha256: 'ab'.repeat(32), length: 3n })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const other = await sidecar.model(2n);
    const claimed = (await sidecar.model(3n)).weightsHash;
    await expect(sidecar.sampler.loadWeights(claimed, other.weights)).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
  });
});
