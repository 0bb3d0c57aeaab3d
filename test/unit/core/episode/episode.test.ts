import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MAX_ATTEMPTS, episodeFold, evolveEpisode, initialEpisode, isEnded, isUsable, nextEpisodeAction, scoreKey,
  type EpisodeState,
} from '../../../../core/episode/episode.js';
import { packF32, packU32 } from '../../../../core/log/bytes.js';
import { RunningEpisode, takeFact } from '../../../../core/episode/running.js';
import type { Payload } from '../../../../core/log/fold.js';
import type { Budget } from '../../../../core/recipe/recipe.js';

const BUDGET: Budget = { maxTurns: 3, maxTurnTokens: 8, maxContextTokens: 40 };

function started(attempt = 1, promptLength = 5): Payload {
  return { $case: 'attemptStarted', value: {
    attempt, stage: 'rl', domain: 'search', task: 't', weightsHash: 'w', seed: 7n, greedy: false, protocol: '',
    promptTokens: packU32(Array.from({ length: promptLength }, (_, i) => i)),
  } };
}

function sampled(turn: number, tokens: number[], finish = 'stop', attempt = 1): Payload {
  return { $case: 'turnSampled', value: {
    attempt, turn, tokens: packU32(tokens), logprobs: packF32(tokens.map(() => -0.5)), weightsHash: 'w', finish, changedWeights: undefined,
  } };
}

function observed(turn: number, tokens: number[], attempt = 1): Payload {
  return { $case: 'observationRecorded', value: { attempt, turn, tokens: packU32(tokens), recordJson: '' } };
}

function ended(status: string): Payload {
  return { $case: 'episodeEnded', value: {
    attempt: 1, status, correct: true, reward: 1, components: [], rubrics: [], turns: 1, generatedTokens: 1, detail: 'x',
  } };
}

function aborted(attempt: number, reason = 'bug'): Payload {
  return { $case: 'attemptAborted', value: { attempt, reason } };
}

function after(...payloads: Payload[]): EpisodeState {
  return payloads.reduce(evolveEpisode, initialEpisode());
}

/** The same facts as a worker holds them. */
function running(...payloads: Payload[]): RunningEpisode {
  const episode = new RunningEpisode();
  for (const payload of payloads) takeFact(episode, payload);
  return episode;
}

/** Prompt, turns and observations, joined anew. */
function joined({ promptTokens, turns }: EpisodeState): number[] {
  return [promptTokens, ...turns.flatMap(({ tokens, observationTokens }) => [tokens, observationTokens ?? new Uint32Array(0)])].flatMap((part) => [...part]);
}

describe('what an episode needs next', () => {
  test('owed: an attempt, then the first turn after the prompt', () => {
    expect(nextEpisodeAction(after(), BUDGET)).toEqual({ kind: 'start-attempt', attempt: 1 });
    expect(nextEpisodeAction(after(started()), BUDGET))
      .toEqual({ kind: 'sample', turn: 0, maxNewTokens: 8 });
    expect(running(started()).context).toEqual(Uint32Array.of(0, 1, 2, 3, 4));
  });

  test('a sampled turn is acted on; its observation is part of the next prefix', () => {
    const turn = sampled(0, [50, 51]);
    expect(nextEpisodeAction(after(started(), turn), BUDGET)).toEqual({ kind: 'act', turn: 0 });
    const answered = after(started(), turn, observed(0, [9]));
    expect(nextEpisodeAction(answered, BUDGET)).toEqual({ kind: 'sample', turn: 1, maxNewTokens: 8 });
    expect(running(started(), turn, observed(0, [9])).context).toEqual(Uint32Array.of(0, 1, 2, 3, 4, 50, 51, 9));
  });

  test('an empty observation ends it completed', () => {
    expect(nextEpisodeAction(after(started(), sampled(0, [50]), observed(0, [])), BUDGET)).toEqual({ kind: 'end', status: 'completed' });
  });

  test('a turn cut by length ends it truncated, answered or not', () => {
    const cut = [started(), sampled(0, [1, 2, 3, 4, 5, 6, 7, 8], 'length')];
    const truncated = { kind: 'end', status: 'truncated', reason: 'turn-tokens' };
    expect(nextEpisodeAction(after(...cut), BUDGET)).toEqual(truncated);
    expect(nextEpisodeAction(after(...cut, observed(0, [])), BUDGET)).toEqual(truncated);
  });

  test('too many turns, or no room for one more token, end it truncated', () => {
    const turns = [0, 1, 2].flatMap((turn) => [sampled(turn, [50]), observed(turn, [9])]);
    expect(nextEpisodeAction(after(started(), ...turns), BUDGET)).toEqual({ kind: 'end', status: 'truncated', reason: 'turns' });
    expect(nextEpisodeAction(after(started(1, 40)), BUDGET)).toEqual({ kind: 'end', status: 'truncated', reason: 'context' });
    expect(nextEpisodeAction(after(started(1, 37)), BUDGET)).toMatchObject({ kind: 'sample', maxNewTokens: 3 });
  });

  test('an aborted attempt is followed by another with no turns, until the budget is spent', () => {
    const facts: Payload[] = [];
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      expect(nextEpisodeAction(after(...facts), BUDGET)).toEqual({ kind: 'start-attempt', attempt });
      facts.push(started(attempt), sampled(0, [50], 'stop', attempt), aborted(attempt, `bug ${attempt}`));
    }
    expect(nextEpisodeAction(after(...facts), BUDGET)).toEqual({ kind: 'end', status: 'failed', reason: `bug ${MAX_ATTEMPTS}` });
    expect(after(...facts, started(MAX_ATTEMPTS + 1)).turns).toEqual([]);
  });

  test('ended: nothing', () => {
    for (const status of ['completed', 'truncated', 'failed']) {
      expect(nextEpisodeAction(after(started(), ended(status)), BUDGET)).toEqual({ kind: 'nothing' });
    }
  });
});

describe('the fold', () => {
  test('facts of another attempt, out of turn or after the end change nothing', () => {
    const state = after(started(), sampled(0, [50]));
    for (const late of [sampled(0, [51]), sampled(2, [51]), sampled(1, [51], 'stop', 2), observed(1, [9]), aborted(2), started(1), started(3)]) {
      expect(evolveEpisode(state, late)).toEqual(state);
    }
    const over = after(started(), sampled(0, [50]), observed(0, []), ended('completed'));
    for (const late of [sampled(1, [51]), ended('failed'), started(2), aborted(1)]) expect(evolveEpisode(over, late)).toEqual(over);
    expect(isUsable(over)).toBe(true);
    expect(isUsable(after(started(), ended('failed')))).toBe(false);
  });

  test('scores come after the end, by purpose and scorer; a score replaces a failure', () => {
    const scored: Payload = { $case: 'episodeScored', value: { purpose: 'teacher', scorerWeightsHash: 'w1', topK: 4, scores: { sha256: 'aa', length: 3n }, row: 2 } };
    const failed: Payload = { $case: 'scoreFailed', value: { purpose: 'teacher', scorerWeightsHash: 'w1', reason: 'no' } };
    const over = after(started(), ended('completed'), failed);
    expect(over.scoreFailures.get(scoreKey('teacher', 'w1'))).toBe('no');
    const state = evolveEpisode(over, scored);
    expect(state.scores.get('teacher/w1')).toEqual({ topK: 4, scores: { sha256: 'aa', length: 3n }, row: 2 });
    expect(state.scoreFailures.size).toBe(0);
    expect(over.scores.size).toBe(0);
  });

  test('the fold is the evolve function', () => {
    expect(episodeFold.initial()).toEqual(initialEpisode());
    expect(episodeFold.evolve).toBe(evolveEpisode);
  });
});

/** A model and a tool as data: what each turn and each observation will be, whoever asks and however often. */
const scripts = fc.array(fc.record({
  tokens: fc.integer({ min: 1, max: 12 }), observation: fc.integer({ min: 0, max: 12 }), fault: fc.boolean(),
}), { minLength: 6, maxLength: 6 });
const budgets = fc.record({
  maxTurns: fc.integer({ min: 1, max: 4 }), maxTurnTokens: fc.integer({ min: 1, max: 10 }), maxContextTokens: fc.integer({ min: 4, max: 60 }),
});

type Script = { tokens: number; observation: number; fault: boolean }[];

/** What a worker would record for the next action; undefined at the end. */
function step(state: EpisodeState, budget: Budget, script: Script): Payload | undefined {
  const action = nextEpisodeAction(state, budget);
  const attempt = state.attempts;
  switch (action.kind) {
    case 'start-attempt': return started(action.attempt);
    case 'sample': {
      const wanted = script[action.turn]!.tokens;
      const length = Math.min(wanted, action.maxNewTokens);
      return sampled(action.turn, Array.from({ length }, (_, i) => 100 + i), wanted <= action.maxNewTokens ? 'stop' : 'length', attempt);
    }
    case 'act': {
      const { fault, observation } = script[action.turn]!;
      return fault ? aborted(attempt) : observed(action.turn, Array.from({ length: observation }, () => 9), attempt);
    }
    case 'end': return ended(action.status);
    case 'nothing': return undefined;
  }
}

function runFrom(facts: readonly Payload[], budget: Budget, script: Script): Payload[] {
  const all = [...facts];
  for (let state = after(...all); ;) {
    const fact = step(state, budget, script);
    if (fact === undefined) return all;
    all.push(fact);
    state = evolveEpisode(state, fact);
  }
}

describe('properties', () => {
  test('it always ends, within its budgets', () => {
    fc.assert(fc.property(scripts, budgets, (script, budget) => {
      const state = after(...runFrom([], budget, script));
      expect(isEnded(state)).toBe(true);
      expect(state.turns.length).toBeLessThanOrEqual(budget.maxTurns);
      for (const turn of state.turns) expect(turn.tokens.length).toBeLessThanOrEqual(budget.maxTurnTokens);
      const generatedEnd = state.contextLength - (state.turns.at(-1)?.observationLength ?? 0);
      expect(state.turns.length === 0 || generatedEnd <= budget.maxContextTokens).toBe(true);
      expect(state.aborted.length).toBeLessThanOrEqual(MAX_ATTEMPTS);
    }));
  });

  test('as a worker holds it, it needs the same next and has the same context after every fact', () => {
    fc.assert(fc.property(scripts, budgets, (script, budget) => {
      const episode = new RunningEpisode();
      runFrom([], budget, script).reduce((state, fact) => {
        const next = evolveEpisode(state, fact);
        takeFact(episode, fact);
        expect(nextEpisodeAction(episode, budget)).toEqual(nextEpisodeAction(next, budget));
        expect([...episode.context]).toEqual(joined(next));
        expect(episode.contextLength).toBe(next.contextLength);
        expect(episode.generatedTokens).toBe(next.turns.reduce((sum, { length }) => sum + length, 0));
        next.turns.forEach(({ tokens }, turn) => expect(episode.tokensOf(turn)).toEqual(tokens));
        return next;
      }, initialEpisode());
    }));
  });

  test('resumed after any prefix of its facts, it records the same rest', () => {
    fc.assert(fc.property(scripts, budgets, fc.nat(), (script, budget, cut) => {
      const whole = runFrom([], budget, script);
      const prefix = whole.slice(0, cut % (whole.length + 1));
      expect(runFrom(prefix, budget, script)).toEqual(whole);
    }));
  });
});

describe('an episode as a worker holds it', () => {
  const turns = (count: number): Payload[] =>
    Array.from({ length: count }, (_, turn) => [sampled(turn, [100 + turn, 1]), observed(turn, [9, 9, turn])]).flat();

  test('keeps the context of every earlier turn as it was given out, over many turns', () => {
    const episode = running(started());
    const given: { view: Uint32Array; copy: number[] }[] = [];
    for (const fact of turns(300)) {
      takeFact(episode, fact);
      given.push({ view: episode.context, copy: [...episode.context] });
    }
    for (const { view, copy } of given) expect([...view]).toEqual(copy);
    expect(episode.turns.length).toBe(300);
    expect(episode.context).toHaveLength(5 + 300 * 5);
  });

  test('asks for an answer to each turn, however many there were', () => {
    const episode = running(started());
    const budget = { maxTurns: 1_000, maxTurnTokens: 8, maxContextTokens: 100_000 };
    turns(300).forEach((fact, at) => {
      takeFact(episode, fact);
      expect(nextEpisodeAction(episode, budget).kind).toBe(at % 2 === 0 ? 'act' : 'sample');
    });
  });

  test('leaves the context of an aborted attempt to who still holds it', () => {
    const episode = running(started(), ...turns(3));
    const before = episode.context;
    const copy = [...before];
    for (const fact of [aborted(1), started(2, 7), sampled(0, [70], 'stop', 2)]) takeFact(episode, fact);
    expect([...before]).toEqual(copy);
    expect([...episode.context]).toEqual([0, 1, 2, 3, 4, 5, 6, 70]);
    expect(episode.generatedTokens).toBe(1);
  });

  test('a second answer to a turn takes the place of the first, not in a view that was given out', () => {
    const episode = running(started(1, 2), sampled(0, [50]), observed(0, [7, 8]));
    const before = episode.context;
    takeFact(episode, observed(0, [9]));
    expect([...before]).toEqual([0, 1, 50, 7, 8]);
    expect([...episode.context]).toEqual([0, 1, 50, 9]);
  });

  test('ignores what evolveEpisode ignores', () => {
    const facts = [started(), sampled(0, [51])];
    for (const late of [sampled(0, [60]), sampled(2, [60]), observed(1, [9]), observed(0, [9], 2), started(1), started(3), aborted(2)]) {
      expect([...running(...facts, late).context]).toEqual(joined(after(...facts, late)));
    }
    const over = [...facts, observed(0, []), ended('completed')];
    for (const late of [sampled(1, [51]), ended('failed'), started(2), aborted(1)]) expect(running(...over, late).status).toBe('completed');
  });
});
