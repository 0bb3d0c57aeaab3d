import { expect, it } from 'vitest';
import { countJunit, countVitest, distrust, noTests, summary } from '../../../../deploy/tests/count.mjs';

const file = (name: string, statuses: string[], status = 'passed') => ({
  name, status, startTime: 1000, endTime: 1500, assertionResults: statuses.map((one) => ({ status: one })),
});

it('counts tests by tier; a file that does not load is one failure', () => {
  const counts = countVitest([
    file('/p/test/unit/core/a.test.ts', ['passed', 'passed', 'pending']),
    file('/p/test/unit/b.test.ts', ['failed', 'passed'], 'failed'),
    file('/p/test/golden/c.test.ts', [], 'failed'),
  ], '/p/test', ['unit', 'golden', 'replay']);
  expect(Object.fromEntries(counts)).toEqual({
    unit: { passed: 3, failed: 1, skipped: 1, seconds: 1, notes: [] },
    golden: { passed: 0, failed: 1, skipped: 0, seconds: 0.5, notes: [] },
    replay: noTests(),
  });
});

it('reads the junit report of pytest', () => {
  const xml = '<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10" time="1.5"><testcase/></testsuite></testsuites>';
  expect(countJunit(xml)).toMatchObject({ passed: 4, failed: 3, skipped: 3 });
  expect(countJunit('')).toEqual(noTests());
});

it('counts a runner that ended badly without a failed test', () => {
  const counts = [noTests(), noTests()];
  distrust(counts, 'vitest', 1);
  expect(counts.map(({ failed }) => failed)).toEqual([1, 0]);
  distrust(counts, 'vitest', 1);
  expect(counts.map(({ failed }) => failed)).toEqual([1, 0]);
});

it('ends in the one line that others read', () => {
  const good = summary(new Map([['unit', { ...noTests(), passed: 3, skipped: 1 }], ['golden', { ...noTests(), passed: 2 }]]));
  expect(good.lines.at(-1)).toBe('5 passed, 0 failed, 1 skipped');
  expect(good.exitCode).toBe(0);
  expect(summary(new Map([['unit', { ...noTests(), passed: 3, failed: 1 }]])).exitCode).toBe(1);
  expect(summary(new Map([['unit', { ...noTests(), skipped: 4 }]]))).toMatchObject({ exitCode: 1 });
});
