/** What every service must show after its attack, and the line that says how it went. */
import { expect } from 'vitest';
import { fuzz, SECONDS, SEED, type Target } from './fuzz.js';

export async function expectSound(target: Target): Promise<void> {
  const report = await fuzz(target);
  const { cases, statuses, problems, growthMiB, handlesBefore, handlesAfter, opened } = report;
  console.log(`fuzz ${target.name}: seed ${SEED}, ${SECONDS} s, ${cases} cases; ${Object.entries(statuses).map(([status, count]) => `${status} ${count}`).join(', ')}; memory ${growthMiB >= 0 ? '+' : ''}${growthMiB.toFixed(0)} MiB, handles ${handlesBefore} → ${handlesAfter}`);
  expect(problems.join('\n\n')).toBe('');
  expect(cases).toBeGreaterThan(10);
  expect(growthMiB, 'memory grew').toBeLessThan(target.growthMiB);
  expect(handlesAfter, `stayed open: ${opened.join(', ')}`).toBeLessThanOrEqual(handlesBefore + 2);
}
