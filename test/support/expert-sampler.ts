/**
 * A sampler without a model: a pure function of (prefix, seed), as the real one is. Mostly the expert's turn,
 * sometimes, by the seed, nonsense or a turn that does not end.
 */
import { StemmaError } from '../../core/errors.js';
import type { Environment } from '../../core/environment.js';
import type { SampleInput, Sampled, Sampler } from '../../core/ports.js';
import type { Chat } from '../../services/runtime/chat.js';

export interface ExpertSampler extends Sampler {
  /** Every request so far. */
  readonly asked: SampleInput[];
  /** The next requests fail this way. */
  failNext(...errors: StemmaError[]): void;
  /** Weights that requests find; loading adds to them. */
  readonly loaded: Set<string>;
}

export function expertSampler(chat: Chat, tasks: readonly { environment: Environment; task: string }[]): ExpertSampler {
  const experts = tasks.map(({ environment, task }) => {
    const { prompt, ...rest } = environment.task(task);
    return { prompt: chat.encodePrompt(prompt), turns: environment.demonstrate({ prompt, ...rest }, '') };
  });
  const asked: SampleInput[] = [];
  const failures: StemmaError[] = [];
  const loaded = new Set(['w']);
  return {
    asked, loaded,
    failNext: (...errors) => failures.push(...errors),
    async sample(input) {
      asked.push(input);
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      if (!loaded.has(input.weightsHash)) throw new StemmaError('sampler', 'WEIGHTS_NOT_LOADED', `${input.weightsHash} is not loaded`, 'Load it.');
      return turnOf(input, wordsOf(input));
    },
    async loadWeights(weightsHash) {
      loaded.add(weightsHash);
    },
  };

  function wordsOf({ tokens, seed, greedy }: SampleInput): Uint32Array {
    const mood = greedy ? 9n : seed % 10n;
    if (mood === 0n) return chat.encodeAssistant('find of with');
    if (mood === 1n) return Uint32Array.from({ length: 100 }, () => chat.encodeObservation('of')[1]!);
    const expert = experts.find(({ prompt }) => prompt.every((id, position) => tokens[position] === id));
    const turn = tokens.slice(expert?.prompt.length ?? 0).filter((id) => chat.stopTokenIds.includes(id)).length;
    return chat.encodeAssistant(expert?.turns[turn] ?? '<answer> nothing </answer>');
  }
}

function turnOf(input: SampleInput, wanted: Uint32Array): Sampled {
  const tokens = wanted.slice(0, input.maxNewTokens);
  const stopped = input.stopTokenIds.includes(tokens[tokens.length - 1]!);
  const logprobs = Float32Array.from(tokens, (id, position) => -((Number(input.seed % 97n) + id + position) % 16) / 16);
  return { tokens, logprobs, weightsHash: input.weightsHash, finish: stopped ? 'stop' : 'length' };
}
