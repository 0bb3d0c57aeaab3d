/** A turn that is sampled in parts, each by other weights: what the next part is asked for, and what they are together. Pure. */
import type { SampleInput, Sampled } from '../../core/ports.js';
import type { SampledSpan } from '../../proto/gen/stemma/v1/events.js';

export type TurnInput = Omit<SampleInput, 'weightsHash'>;

export interface SampledTurn {
  readonly tokens: Uint32Array;
  readonly logprobs: Float32Array;
  readonly finish: 'stop' | 'length';
  /** At least one; neighbours have other weights, and none is empty. */
  readonly spans: readonly SampledSpan[];
}

/** γ of splitmix64. Token t of a turn is drawn at seed + (t + 1)·γ (sampler.proto): what follows t tokens is itself a turn, at seed + t·γ. */
const GAMMA = 0x9e3779b97f4a7c15n;

/** What is left of a turn after these parts of it. */
export function restOf(turn: TurnInput, parts: readonly Sampled[]): TurnInput {
  const drawn = parts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  if (drawn === 0) return turn;
  return {
    ...turn, tokens: concatenate([turn.tokens, ...parts.map(({ tokens }) => tokens)], Uint32Array),
    maxNewTokens: turn.maxNewTokens - drawn, seed: BigInt.asUintN(64, turn.seed + BigInt(drawn) * GAMMA),
  };
}

/** `parts`: the last was not interrupted. */
export function joined(parts: readonly Sampled[]): SampledTurn {
  const spans: SampledSpan[] = [];
  for (const { weightsHash, tokens: { length } } of parts) {
    const last = spans.at(-1);
    if (last?.weightsHash === weightsHash) last.tokens += length;
    else if (length > 0) spans.push({ weightsHash, tokens: length });
  }
  return {
    tokens: concatenate(parts.map(({ tokens }) => tokens), Uint32Array),
    logprobs: concatenate(parts.map(({ logprobs }) => logprobs), Float32Array),
    finish: parts.at(-1)?.finish === 'stop' ? 'stop' : 'length', spans,
  };
}

function concatenate<A extends Uint32Array | Float32Array>(parts: readonly A[], type: new (length: number) => A): A {
  if (parts.length === 1) return parts[0]!;
  const whole = new type(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
