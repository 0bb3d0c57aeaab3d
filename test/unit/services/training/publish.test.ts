/** Weights of a step are published once, and again where the blob was collected since: same bytes, so no new fact. */
import { describe, expect, it } from 'vitest';
import type { BlobRef, PolicyPublished } from '../../../../proto/gen/stemma/v1/events.js';
import { policyOf } from '../../../../services/training/learn-step.js';
import type { StageSession, TrainingDeps } from '../../../../services/training/session.js';
import { memoryBlobs } from '../../../support/committed-run.js';

const bytes = new TextEncoder().encode('weights');
const STATE = { stateHash: 's', weightsHash: 'w', step: 1 };

async function published(inStore: boolean, known: boolean): Promise<{ readonly puts: number; readonly facts: number; readonly isThere: boolean }> {
  const blobs = memoryBlobs(new Map());
  const ref: BlobRef = await blobs.put(bytes);
  if (!inStore) blobs.contents.delete(ref.sha256);
  let puts = 0;
  const facts: unknown[] = [];
  const before: PolicyPublished[] = known ? [{ step: 1, weightsHash: 'w', weights: ref }] : [];
  const deps = {
    blobs, samplers: 'elsewhere', metrics: { timed: (_kind: string, _part: string, work: () => unknown) => work() },
    trainer: { publishWeights: () => { puts += 1; return blobs.put(bytes); } },
  } as unknown as TrainingDeps;
  const session = {
    parent: {}, recipe: { kind: 'rl' }, stage: { state: { published: before }, record: (...payloads: unknown[]) => Promise.resolve(facts.push(...payloads)) },
  } as unknown as StageSession;
  const policy = await policyOf(deps, session, STATE);
  expect(policy).toEqual({ weightsHash: 'w', weights: ref });
  return { puts, facts: facts.length, isThere: await blobs.has(ref) };
}

describe('the weights that a request names', () => {
  it.each([
    ['not published yet: put and said', false, false, { puts: 1, facts: 1, isThere: true }],
    ['published: neither', true, true, { puts: 0, facts: 0, isThere: true }],
    ['published and collected since: put again, not said again', false, true, { puts: 1, facts: 0, isThere: true }],
  ])('%s', async (_what, inStore, known, expected) => {
    expect(await published(inStore, known)).toEqual(expected);
  });
});
