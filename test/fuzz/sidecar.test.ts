/** The real sidecar under attack: sampler, scorer and trainer, their messages and the blobs that these name. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import { Batch, ScoreTable } from '../../proto/gen/stemma/v1/data.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { LoadWeightsRequest, SampleRequest } from '../../proto/gen/stemma/v1/sampler.js';
import { ScoreRequest } from '../../proto/gen/stemma/v1/scorer.js';
import {
  ExportRequest, GetStatusRequest, InitializeModelRequest, PublishWeightsRequest, RestoreRequest, SnapshotRequest, StepRequest, TrainTokenizerRequest,
} from '../../proto/gen/stemma/v1/trainer.js';
import type { Dice } from '../support/random.js';
import { describeWithSidecar, openRealSidecar, TINY_MODEL, type RealSidecar } from '../support/real-sidecar.js';
import { expectSound } from './harness/expect-sound.js';
import { SECONDS } from './harness/fuzz.js';
import { GrpcWire } from './harness/grpc-call.js';
import { encoder, grpcAttempt, type FuzzedMethod } from './harness/grpc-target.js';
import { chance, mutated, mutatedBytes, pick } from './harness/hostile.js';

const TIMEOUT_MS = (SECONDS + 240) * 1000;
const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const f32 = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

describeWithSidecar('the sidecar under attack', () => {
  let sidecar: RealSidecar;
  let weightsHash: string;
  let weights: BlobRef;
  let snapshot: BlobRef;
  let tokenizer: BlobRef;
  let corpus: BlobRef;
  let stateHash: string;

  beforeAll(async () => {
    sidecar = await openRealSidecar();
    ({ weightsHash, weights } = await sidecar.model(5n));
    ({ stateHash } = await sidecar.trainer.restore({ weights }));
    snapshot = await sidecar.trainer.snapshot(stateHash);
    corpus = await sidecar.blobs.put(new TextEncoder().encode('one two three\nthree four\n'));
    tokenizer = await sidecar.trainer.trainTokenizer(corpus, 32, ['<pad>', '<unk>', '<end>']);
  }, 200_000);
  afterAll(() => sidecar.close());

  /** The blob itself, or one that was tampered with and put under its own name. */
  async function blob(dice: Dice, ref: BlobRef): Promise<BlobRef> {
    if (chance(dice, 0.5)) return ref;
    return sidecar.blobs.put(tampered(dice, await sidecar.blobs.get(ref)));
  }

  const SAMPLE: FuzzedMethod = {
    path: '/stemma.v1.SamplerService/Sample', encode: encoder(SampleRequest), streams: true,
    base: (dice) => ({ requestId: `r${dice() % 3}`, weightsHash, tokens: u32(1, 2, 3, 4), maxNewTokens: 5, stopTokenIds: [2], seed: 7n, greedy: chance(dice, 0.3), temperature: 0.75, bannedTokenIds: [9], interrupt: chance(dice, 0.1) }),
  };
  const LOAD: FuzzedMethod = { path: '/stemma.v1.SamplerService/LoadWeights', encode: encoder(LoadWeightsRequest), base: async (dice) => ({ weightsHash: chance(dice, 0.3) ? 'a'.repeat(64) : weightsHash, weights: await blob(dice, weights) }) };
  const SCORE: FuzzedMethod = {
    path: '/stemma.v1.ScorerService/Score', encode: encoder(ScoreRequest),
    base: (dice) => ({ weightsHash, topK: dice() % 5, validVocabulary: pick(dice, [0, 60]), bannedTokenIds: [1, 2], samples: [{ tokens: u32(3, 4, 5, 6), positions: u32(1, 2, 3) }, { tokens: u32(7, 8), positions: u32(1) }] }),
  };

  const methods: { readonly [service: string]: readonly FuzzedMethod[] } = {
    sampler: [SAMPLE, SAMPLE, LOAD],
    scorer: [SCORE, SCORE, LOAD],
    trainer: [
      { path: '/stemma.v1.TrainerService/TrainTokenizer', encode: encoder(TrainTokenizerRequest), base: async (dice) => ({ corpus: await blob(dice, corpus), vocabularySize: 32, specialTokens: ['<pad>', '<unk>', '<end>'] }) },
      { path: '/stemma.v1.TrainerService/InitializeModel', encode: encoder(InitializeModelRequest), base: (dice) => ({ modelConfigJson: chance(dice, 0.8) ? JSON.stringify(mutated(dice, JSON.parse(TINY_MODEL))) : TINY_MODEL, seed: 3n }) },
      { path: '/stemma.v1.TrainerService/Restore', encode: encoder(RestoreRequest), base: async (dice) => ({ source: chance(dice, 0.5) ? { $case: 'weights', value: await blob(dice, weights) } : { $case: 'snapshot', value: await blob(dice, snapshot) } }) },
      step(), step(), step(),
      { path: '/stemma.v1.TrainerService/Snapshot', encode: encoder(SnapshotRequest), base: () => ({ stateHash }) },
      { path: '/stemma.v1.TrainerService/PublishWeights', encode: encoder(PublishWeightsRequest), base: () => ({ weightsHash }) },
      { path: '/stemma.v1.TrainerService/Export', encode: encoder(ExportRequest), base: async (dice) => ({ weights: await blob(dice, weights), tokenizer: await blob(dice, tokenizer), chatTemplate: '{{ messages }}', directory: join(sidecar.exports, `e${dice() % 5}`) }) },
      { path: '/stemma.v1.TrainerService/GetStatus', encode: encoder(GetStatusRequest), base: () => ({}) },
    ],
  };

  function step(): FuzzedMethod {
    return {
      path: '/stemma.v1.TrainerService/Step', encode: encoder(StepRequest),
      base: async (dice) => {
        // Whatever the last case left is not this one's concern: it must not depend on it.
        const parent = await sidecar.trainer.restore({ weights }).catch(() => ({ stateHash }));
        const bytes = encoder(Batch)(await batch(dice));
        return {
          parentStateHash: parent.stateHash, batchId: `b${dice()}`, settingsHash: 's', batch: await sidecar.blobs.put(chance(dice, 0.15) ? mutatedBytes(dice, bytes) : bytes),
          settings: { learningRate: 1e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxGradientNorm: 1 },
        };
      },
    };
  }

  async function batch(dice: Dice): Promise<object> {
    const tokens = u32(3, 4, 5, 6);
    const tokensSha256 = await sha256(tokens);
    const table = { scorerWeightsHash: weightsHash, topK: 2, rows: [{ tokensSha256, positions: u32(1, 2, 3), ids: u32(1, 2, 3, 4, 5, 6), values: f32(-1, -2, -1, -2, -1, -2), mass: f32(0.5, 0.5, 0.5), givenLogprobs: new Uint8Array() }] };
    const scores = await sidecar.blobs.put(encoder(ScoreTable)((chance(dice, 0.5) ? mutated(dice, table) : table) as object));
    const weightsOf = f32(0, 0.5, 0.5, 0.5);
    const terms = [
      { weights: weightsOf, kind: { $case: 'crossEntropy', value: {} } },
      { weights: weightsOf, kind: { $case: 'policyGradient', value: { advantages: f32(0, 1, -1, 1), oldLogprobs: f32(0, -1, -2, -3), referenceLogprobs: f32(0, -1, -2, -3), clipLow: 0.2, clipHigh: 0.3, klCoefficient: 0.1, entropyCoefficient: 0.01 } } },
      { weights: weightsOf, kind: { $case: 'salientVocabulary', value: { topK: 2, scoreBlobSha256: scores.sha256, scoreRow: 0, temperature: 0.75 } } },
    ];
    const good = { samples: [{ member: 'm0', tokens, terms: [pick(dice, terms), pick(dice, terms)] }, { member: 'm1', tokens: u32(9, 8), terms: [{ weights: f32(0, 1), kind: { $case: 'crossEntropy', value: {} } }] }], rows: [{ samples: [0, 1] }], rowsPerMicroBatch: 1 };
    return (chance(dice, 0.8) ? mutated(dice, good) : good) as object;
  }

  it.each(['sampler', 'scorer', 'trainer'])('%s', async (service) => {
    const { address } = sidecar.process;
    const wire = new GrpcWire(address);
    const pid = sidecar.process.pid();
    await expectSound({
      name: service, pid: () => pid, growthMiB: 250, secrets: [sidecar.directory, homedir(), process.cwd()],
      attempt: (dice) => grpcAttempt({ wire, address, methods: methods[service]! }, dice),
      async good() {
        if (sidecar.process.pid() !== pid) throw new Error('the sidecar died and was started again');
        await sidecar.sampler.loadWeights(weightsHash, weights);
        await sidecar.scorer.score({ weightsHash, topK: 2, validVocabulary: 64, bannedTokenIds: [], samples: [{ tokens: Uint32Array.of(1, 2, 3), positions: Uint32Array.of(1, 2) }] });
        await sidecar.trainer.restore({ weights });
        await sidecar.sampler.sample({ weightsHash, tokens: Uint32Array.of(1, 2, 3), maxNewTokens: 4, stopTokenIds: [], bannedTokenIds: [], seed: 1n, greedy: false, temperature: 1 });
      },
      release: () => wire.close(),
    });
  }, TIMEOUT_MS);
});

async function sha256(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes))).toString('hex');
}

/** Also where it is most likely to hurt: the header of a safetensors file, as JSON. */
function tampered(dice: Dice, bytes: Uint8Array): Uint8Array {
  const length = Number(Buffer.from(bytes).readBigUInt64LE(0));
  if (length > bytes.length || chance(dice, 0.4)) return mutatedBytes(dice, bytes);
  const header = JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString()) as { __metadata__: { stemma: string } };
  const metadata = JSON.parse(header.__metadata__.stemma) as { config: string };
  const changed = pick(dice, [
    () => mutated(dice, header), () => ({ ...header, __metadata__: { stemma: JSON.stringify(mutated(dice, metadata)) } }),
    () => ({ ...header, __metadata__: { stemma: JSON.stringify({ ...metadata, config: JSON.stringify(mutated(dice, JSON.parse(metadata.config))) }) } }),
    () => ({ ...header, __metadata__: pick<unknown>(dice, [[], 'x', null, { stemma: '[]' }, { stemma: '['.repeat(5000) }]) }),
  ])();
  const text = Buffer.from(JSON.stringify(changed));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(text.length), 0);
  return Buffer.concat([head, text, bytes.subarray(8 + length)]);
}
