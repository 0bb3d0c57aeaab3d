import { expect, test } from 'vitest';
import { liveProblems, operatorHealth, readyProblems, type OperatorState } from '../../../../k8s/operator/health.js';

const NOW = 1_000_000;
const state = (given: Partial<OperatorState>): OperatorState => ({ answeredAtMs: NOW - 1000, leadsSinceMs: undefined, hasListed: false, ...given });

test.each<[string, Partial<OperatorState>, readonly [ready: number, live: number]]>([
  ['a follower that hears the API server is ready to take over', {}, [0, 0]],
  ['one that has never heard it is not', { answeredAtMs: -Infinity }, [1, 0]],
  ['nor one that has not for long; starting it again would not help', { answeredAtMs: NOW - 60_000, leadsSinceMs: NOW - 90_000, hasListed: true }, [1, 0]],
  ['a leader is ready when it has read all', { leadsSinceMs: NOW - 5000 }, [1, 0]],
  ['and then it is', { leadsSinceMs: NOW - 5000, hasListed: true }, [0, 0]],
  ['one that cannot read for minutes, while the server answers, is wedged', { leadsSinceMs: NOW - 400_000 }, [1, 1]],
  ['but not while the server is away', { leadsSinceMs: NOW - 400_000, answeredAtMs: NOW - 60_000 }, [2, 0]],
])('%s', async (_, given, [ready, live]) => {
  expect(readyProblems(state(given), NOW)).toHaveLength(ready);
  expect(liveProblems(state(given), NOW)).toHaveLength(live);
  expect(await operatorHealth(() => state(given), () => NOW).ready()).toHaveLength(ready);
});
