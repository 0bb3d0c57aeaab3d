/**
 * The sidecar without a model: weights are a hash of what made them, so that they are a pure function of the log, as the
 * real ones are. It forgets all but the blobs when it is killed.
 */
import { createHash } from 'node:crypto';
import { StemmaError, type Boundary, type ErrorCode } from '../../core/errors.js';
import { packF32, packU32 } from '../../core/log/bytes.js';
import type { SampleInput, Sampled, ScoreInput, StepInput, StepResult, TrainerState, TrainerStatus } from '../../core/ports.js';
import { SPECIAL_TOKENS } from '../../environments/chat-template.js';
import { ScoreTable, type ScoreRow } from '../../proto/gen/stemma/v1/data.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { wordLevelTokenizer } from '../support/word-level-tokenizer.js';
import type { MemoryBlobs } from './memory-blobs.js';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const hashOf = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\n');
  return hash.digest('hex');
};
const refuse = (boundary: Boundary, code: ErrorCode, message: string): StemmaError => new StemmaError(boundary, code, message, 'As the sidecar says.');

const idOf = (token: (typeof SPECIAL_TOKENS)[number]): number => SPECIAL_TOKENS.indexOf(token);

export class Sidecar {
  private state: TrainerState = { stateHash: '', weightsHash: '', step: 0 };
  private last: { readonly name: string; readonly result: StepResult } | undefined;
  private readonly loaded = new Set<string>();

  constructor(private readonly blobs: MemoryBlobs) {}

  trainTokenizer(corpus: BlobRef): BlobRef {
    return this.blobs.put(new TextEncoder().encode(wordLevelTokenizer(text(this.blobs.get(corpus)))));
  }

  initializeModel(modelConfigJson: string, seed: bigint): { weightsHash: string; weights: BlobRef } {
    const weightsHash = hashOf('base', modelConfigJson, seed.toString());
    return { weightsHash, weights: this.blobOf('weights', weightsHash) };
  }

  status(): TrainerStatus {
    return { ...this.state, fingerprintJson: '{"device":"simulated"}', busySeconds: 0, peakMemoryBytes: 0 };
  }

  restore(source: { weights: BlobRef } | { snapshot: BlobRef }): TrainerState {
    const [kind, weightsHash = '', stateHash = '', step = '0'] = text(this.blobs.get('weights' in source ? source.weights : source.snapshot)).split(' ');
    if (kind !== ('weights' in source ? 'weights' : 'snapshot')) throw refuse('trainer', 'CORRUPT', 'that blob holds something else');
    this.state = { weightsHash, step: Number(step), stateHash: kind === 'snapshot' ? stateHash : hashOf('state', weightsHash, '0') };
    this.last = undefined;
    return this.state;
  }

  step({ parentStateHash, batchId, batch, settingsHash }: StepInput): StepResult {
    const name = `${parentStateHash} ${batchId} ${settingsHash}`;
    if (this.last?.name === name) return this.last.result;
    this.requireState(parentStateHash);
    const weightsHash = hashOf('step', this.state.stateHash, this.blobs.get(batch), settingsHash);
    const step = this.state.step + 1;
    this.state = { weightsHash, step, stateHash: hashOf('state', weightsHash, String(step)) };
    this.last = { name, result: { ...this.state, stats: [{ name: 'loss', sum: 1, count: 1 }], sampleStats: [], computeSeconds: 0, busySeconds: 0 } };
    return this.last.result;
  }

  snapshot(stateHash: string): BlobRef {
    this.requireState(stateHash);
    return this.blobOf('snapshot', this.state.weightsHash, this.state.stateHash, String(this.state.step));
  }

  publishWeights(weightsHash: string): BlobRef {
    if (weightsHash !== this.state.weightsHash) throw refuse('trainer', 'WRONG_PARENT', 'the current weights are others');
    return this.blobOf('weights', weightsHash);
  }

  loadWeights(weightsHash: string, weights: BlobRef): void {
    const [, found] = text(this.blobs.get(weights)).split(' ');
    if (found !== weightsHash) throw refuse('sampler', 'HASH_MISMATCH', `the blob holds weights ${found}`);
    this.loaded.add(weightsHash);
  }

  /** A pure function of weights, prefix and seed; of those and of whether it was interrupted. */
  sample(input: SampleInput, interrupted = false): Sampled {
    this.requireWeights('sampler', input.weightsHash);
    const dice = createHash('sha256').update(input.weightsHash).update(packU32(input.tokens)).update(String(input.greedy ? 0 : input.seed)).digest();
    const words = input.tokens.filter((id) => id >= SPECIAL_TOKENS.length);
    const word = (at: number): number => words[dice[at]! % Math.max(1, words.length)] ?? SPECIAL_TOKENS.length;
    const wanted = turns(word)[dice[0]! % 4]!(input.maxNewTokens);
    const whole = Uint32Array.from(wanted.slice(0, input.maxNewTokens));
    const tokens = interrupted ? whole.subarray(0, dice[1]! % (whole.length + 1)) : whole;
    const stopped = input.stopTokenIds.includes(tokens[tokens.length - 1]!);
    return {
      tokens, logprobs: Float32Array.from(tokens, (_, position) => -(dice[position % 32]! + 1) / 256),
      weightsHash: input.weightsHash, finish: tokens.length < whole.length ? 'interrupted' : stopped ? 'stop' : 'length',
    };
  }

  score(input: ScoreInput): BlobRef {
    this.requireWeights('scorer', input.weightsHash);
    const rows = input.samples.map(({ tokens, positions }): ScoreRow => ({
      tokensSha256: createHash('sha256').update(packU32(tokens)).digest('hex'), positions: packU32(positions),
      ids: new Uint8Array(0), values: new Uint8Array(0), mass: new Uint8Array(0),
      givenLogprobs: packF32(Float32Array.from(positions, (position) => -((tokens[position]! + input.weightsHash.charCodeAt(0)) % 64 + 1) / 64)),
    }));
    return this.blobs.put(ScoreTable.encode({ scorerWeightsHash: input.weightsHash, topK: input.topK, rows }).finish());
  }

  private blobOf(...parts: string[]): BlobRef {
    return this.blobs.put(new TextEncoder().encode(parts.join(' ')));
  }

  private requireState(stateHash: string): void {
    if (stateHash !== this.state.stateHash) throw refuse('trainer', 'WRONG_PARENT', 'the current state is another');
  }

  private requireWeights(boundary: Boundary, weightsHash: string): void {
    if (this.state.weightsHash === weightsHash) this.loaded.add(weightsHash);
    if (!this.loaded.has(weightsHash)) throw refuse(boundary, 'WEIGHTS_NOT_LOADED', `weights ${weightsHash} are not loaded`);
  }
}

/** An answer, a tool call, nonsense, a turn without an end. */
function turns(word: (at: number) => number): readonly ((length: number) => number[])[] {
  return [
    () => [idOf('<answer>'), word(1), idOf('</answer>'), idOf('<end>')],
    () => [idOf('<call>'), word(1), word(2), idOf('</call>'), idOf('<end>')],
    () => [word(1), word(2), word(3), idOf('<end>')],
    (length) => Array.from({ length }, (_, at) => word(1 + (at % 31))),
  ];
}
