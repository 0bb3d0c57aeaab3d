import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openFold } from '../../../../core/log/fold.js';
import type { Payload } from '../../../../core/log/keys.js';
import { episodesAsked, lastClosed, membersBefore, promptsAsked, roundsOf, stageFold, type StageState } from '../../../../core/stage/stage.js';
import type { BatchClosed, EpisodesRequested, StepCommitted } from '../../../../proto/gen/stemma/v1/events.js';
import { Event } from '../../../../proto/gen/stemma/v1/events.js';

const DOMAINS = ['search', 'tools'];

interface Round {
  /** Task numbers; one may be asked for twice. */
  readonly tasks: readonly number[];
}

interface Step {
  readonly rounds: readonly Round[];
  readonly members: number;
  /** Closed before the step before it is committed, as SFT does. */
  readonly ahead: boolean;
}

const stepsArb = fc.array(fc.record({
  rounds: fc.array(fc.record({ tasks: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }) }), { maxLength: 3 }),
  members: fc.integer({ min: 0, max: 4 }), ahead: fc.boolean(),
}), { maxLength: 6 });

const requestOf = (step: number, round: number, { tasks }: Round, purpose = 'train'): Payload => ({ $case: 'episodesRequested', value: {
  step, round, purpose, weightsHash: 'w', weights: undefined, greedy: false, temperature: 1, protocol: '',
  episodes: tasks.map((task, sample) => ({ episode: `${step}.${round}.${sample}`, domain: DOMAINS[task % 2]!, task: `t${task}`, sample, seed: 0n })),
} });
const closedOf = (step: number, members: number): Payload => ({ $case: 'batchClosed', value: {
  step, batchId: `b${step}`, batch: { sha256: `blob${step}`, length: 1n }, settingsJson: `{"step":${step}}`, settingsHash: `h${step}`, policyWeightsHashes: [], teacherWeightsHashes: {},
  members: Array.from({ length: members }, (_, index) => ({ member: `training#${index}`, pass: 0, domain: 'search', reward: 0, advantage: 0, trainableTokens: 1 })),
} });
const committedOf = (step: number): Payload => ({ $case: 'stepCommitted', value: {
  step, batchId: `b${step}`, parentStateHash: `s${step - 1}`, stateHash: `s${step}`, weightsHash: `w${step}`, stats: [], spent: undefined,
} });

/** What planners write: a dataset's request, then steps, then the evaluation's request. */
function story(steps: readonly Step[]): Payload[] {
  const closed = new Set<number>();
  const close = (step: number): Payload[] => {
    if (closed.has(step)) return [];
    closed.add(step);
    return [closedOf(step, steps[step - 1]!.members)];
  };
  return [
    requestOf(0, 0, { tasks: [0, 1, 2] }, 'dataset'),
    ...steps.flatMap(({ rounds }, index) => {
      const step = index + 1;
      const ahead = steps[step]?.ahead ? close(step + 1) : [];
      return [...rounds.map((round, number) => requestOf(step, number, round)), ...close(step), ...ahead, committedOf(step)];
    }),
    requestOf(steps.length + 1, 0, { tasks: [3] }, 'evaluate'),
  ];
}

/** The same facts, all of them kept. */
interface Everything {
  readonly requests: EpisodesRequested[];
  readonly closed: BatchClosed[];
  readonly committed: StepCommitted[];
}

function add(all: Everything, payload: Payload): void {
  if (payload.$case === 'episodesRequested') all.requests.push(payload.value);
  if (payload.$case === 'batchClosed') all.closed.push(payload.value);
  if (payload.$case === 'stepCommitted') all.committed.push(payload.value);
}

/** All that planners, recovery, replay and forks ask of a stage. */
function expectSame(state: StageState, { requests, closed, committed }: Everything): void {
  expect(promptsAsked(state)).toBe(requests.filter(({ step }) => step > 0).reduce((sum, { episodes }) => sum + new Set(episodes.map(({ task }) => task)).size, 0));
  for (const domain of DOMAINS) expect(episodesAsked(state, domain)).toBe(requests.flatMap(({ episodes }) => episodes).filter((episode) => episode.domain === domain).length);
  expect(lastClosed(state)).toBe(Math.max(0, ...closed.map(({ step }) => step)));
  for (const step of [committed.length + 1, committed.length + 2]) {
    expect(roundsOf(state, step)).toEqual(requests.filter((request) => request.step === step));
    expect(state.closed.get(step)).toEqual(closed.find((batch) => batch.step === step));
    expect(membersBefore(state, step)).toBe(closed.filter((batch) => batch.step < step).reduce((sum, { members }) => sum + members.length, 0));
  }
  expect(roundsOf(state, 0)).toEqual(requests.filter(({ step }) => step === 0));
  expect(state.committed).toEqual(committed.map(({ step, batchId, parentStateHash, stateHash, weightsHash }) => {
    const batch = closed.find((other) => other.step === step)!;
    return { step, batchId, parentStateHash, stateHash, weightsHash, closed: { batchId, batch: batch.batch, settingsJson: batch.settingsJson, settingsHash: batch.settingsHash } };
  }));
}

describe('a stage that lets go of what its committed steps were made of', () => {
  it('answers after every event as if it had kept all', () => {
    fc.assert(fc.property(stepsArb, (steps) => {
      const folded = openFold(stageFold);
      const all: Everything = { requests: [], closed: [], committed: [] };
      folded.add(Event.fromPartial({ id: 'c', payload: { $case: 'claimed', value: { role: 'planner', claimId: 'p' } } }));
      story(steps).forEach((payload, index) => {
        folded.add(Event.fromPartial({ id: `e${index}`, claim: 'p', seq: index + 1, payload }));
        add(all, payload);
        expectSame(folded.state, all);
      });
    }));
  });

  it('holds neither requests nor members of committed steps', () => {
    const steps: Step[] = Array.from({ length: 50 }, () => ({ rounds: [{ tasks: [0, 1, 2, 3] }], members: 4, ahead: false }));
    const folded = openFold(stageFold);
    folded.add(Event.fromPartial({ id: 'c', payload: { $case: 'claimed', value: { role: 'planner', claimId: 'p' } } }));
    story(steps).forEach((payload, index) => folded.add(Event.fromPartial({ id: `e${index}`, claim: 'p', seq: index + 1, payload })));
    const { requests, closed, committed } = folded.state;
    expect([...requests.keys()]).toEqual([0, 51]);
    expect(closed.size).toBe(0);
    expect(committed).toHaveLength(50);
    for (const { closed: batch } of committed) expect(Object.keys(batch!).sort()).toEqual(['batch', 'batchId', 'settingsHash', 'settingsJson']);
  });

  it('drops what comes late for a committed step', () => {
    const folded = openFold(stageFold);
    folded.add(Event.fromPartial({ id: 'c', payload: { $case: 'claimed', value: { role: 'planner', claimId: 'p' } } }));
    [closedOf(1, 2), committedOf(1), requestOf(1, 0, { tasks: [1] }), closedOf(1, 3), committedOf(1)]
      .forEach((payload, index) => folded.add(Event.fromPartial({ id: `e${index}`, claim: 'p', seq: index + 1, payload })));
    expect([promptsAsked(folded.state), membersBefore(folded.state, 2), lastClosed(folded.state)]).toEqual([0, 2, 1]);
  });
});
