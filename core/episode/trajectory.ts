/**
 * An episode as the learner and the scorers see it: one token sequence with its generated tokens marked.
 * It ends with the last generated token: an observation nobody answered is context for nothing.
 */
import type { EpisodeState } from './episode.js';
import { concatenate } from './episode.js';

/** Generated tokens [start, end) of one turn, all sampled by one set of weights. */
export interface PlacedSpan {
  readonly start: number;
  readonly end: number;
  readonly weightsHash: string;
}

/** T tokens, of which N generated. */
export interface Trajectory {
  /** u32[T] */
  readonly tokens: Uint32Array;
  /** u8[T]: 1 where the token was generated (trainable), 0 for prompt and observations. */
  readonly mask: Uint8Array;
  /** f32[T]: temperature-1 log-probability of each generated token when it was sampled, 0 elsewhere. */
  readonly logprobs: Float32Array;
  /** u32[N], ascending: where mask is 1, so the positions of the predicted tokens; each ≥ 1. */
  readonly generatedPositions: Uint32Array;
  /** In order; together the generated tokens. */
  readonly sampledSpans: readonly PlacedSpan[];
}

export function trajectoryOf(state: EpisodeState): Trajectory {
  const lastTurn = state.turns.length - 1;
  const parts: Uint32Array[] = [state.promptTokens];
  const spans: { start: number; logprobs: Float32Array }[] = [];
  const sampledSpans: PlacedSpan[] = [];
  let length = state.promptTokens.length;
  state.turns.forEach((turn, index) => {
    spans.push({ start: length, logprobs: turn.logprobs });
    parts.push(turn.tokens);
    for (const { weightsHash, tokens } of turn.spans) {
      sampledSpans.push({ start: length, end: length + tokens, weightsHash });
      length += tokens;
    }
    if (index === lastTurn || turn.observationTokens === undefined) return;
    parts.push(turn.observationTokens);
    length += turn.observationTokens.length;
  });
  const mask = new Uint8Array(length);
  const logprobs = new Float32Array(length);
  const generatedPositions: number[] = [];
  for (const span of spans) {
    logprobs.set(span.logprobs, span.start);
    for (let offset = 0; offset < span.logprobs.length; offset++) {
      mask[span.start + offset] = 1;
      generatedPositions.push(span.start + offset);
    }
  }
  return { tokens: concatenate(parts), mask, logprobs, generatedPositions: Uint32Array.from(generatedPositions), sampledSpans };
}
