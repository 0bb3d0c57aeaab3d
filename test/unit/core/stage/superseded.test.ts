import { describe, expect, it } from 'vitest';
import type { Payload } from '../../../../core/log/keys.js';
import { isSuperseded, LEAST_RETENTION, type Retention, type StageStanding } from '../../../../core/stage/superseded.js';
import { EpisodesRequested, PolicyPublished, SnapshotTaken } from '../../../../proto/gen/stemma/v1/events.js';

const STEPS = [1, 2, 3, 4, 5, 6];
const running: StageStanding = { finished: false, committed: 6, snapshots: new Set([2, 4, 6]), shared: 0 };

const snapshot = (step: number): Payload => ({ $case: 'snapshotTaken', value: SnapshotTaken.fromPartial({ step }) });
const published = (step: number): Payload => ({ $case: 'policyPublished', value: PolicyPublished.fromPartial({ step }) });
const requested = (step: number): Payload => ({ $case: 'episodesRequested', value: EpisodesRequested.fromPartial({ step }) });

function gone(fact: (step: number) => Payload, standing: StageStanding, retention: Retention = LEAST_RETENTION): number[] {
  return [0, ...STEPS, 7].filter((step) => isSuperseded(fact(step), standing, retention));
}

describe('what later steps have superseded', () => {
  it('of a stage that is under way leaves the newest two snapshots, the newest two publications and what open requests name', () => {
    expect(gone(snapshot, running).filter((step) => running.snapshots.has(step))).toEqual([2]);
    expect(gone(published, running)).toEqual([0, 1, 2, 3, 4]);
    expect(gone(requested, running)).toEqual(STEPS);
  });

  it('never is a snapshot of a step that is not committed, nor one that only such a one has replaced', () => {
    expect(gone(snapshot, { ...running, committed: 4 })).not.toContain(2);
  });

  it('of a finished stage is all of it, but for the steps that are kept for good', () => {
    const finished = { ...running, finished: true };
    expect(gone(snapshot, finished)).toEqual([0, ...STEPS, 7]);
    expect(gone(snapshot, finished, { keepLast: 2, keepEvery: 3 })).toEqual([1, 2, 4, 5, 7]);
    expect(gone(requested, finished)).toEqual([0, ...STEPS, 7]);
  });

  it('is more kept than the least where that is asked for, and never less', () => {
    expect(gone(published, running, { keepLast: 4, keepEvery: 0 })).toEqual([0, 1, 2]);
    expect(gone(snapshot, running, { keepLast: 3, keepEvery: 0 }).filter((step) => running.snapshots.has(step))).toEqual([]);
  });

  it('may be what a fork shares with its parent', () => {
    expect(gone(snapshot, { finished: false, committed: 2, snapshots: new Set([1, 2]), shared: 2 })).toEqual([0, 1, 2]);
  });

  it('is never a batch, a dataset or a score', () => {
    const standing = { ...running, finished: true };
    expect(isSuperseded({ $case: 'batchClosed', value: { step: 1 } } as Payload, standing, LEAST_RETENTION)).toBe(false);
    expect(isSuperseded({ $case: 'datasetSealed', value: {} } as Payload, standing, LEAST_RETENTION)).toBe(false);
    expect(isSuperseded(undefined, standing, LEAST_RETENTION)).toBe(false);
  });
});
