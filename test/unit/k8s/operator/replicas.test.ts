import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LOWER_AFTER_MS, nextReplicas } from '../../../../k8s/operator/replicas.js';
import type { Replicas } from '../../../../k8s/operator/training-run.js';

const roles = {
  rollout: { replicas: { min: 1, max: 8, episodesPerReplica: 16 } },
  teacherScoring: { replicas: { min: 1, max: 2, episodesPerReplica: 64 } },
};
const demand = (episodes: number) => ({ episodes, scored: episodes });

describe('replicas', () => {
  test('stay between the bounds, whatever happens', () => {
    fc.assert(fc.property(fc.array(fc.record({ episodes: fc.option(fc.nat(100_000), { nil: undefined }), afterMs: fc.nat(300_000) })), (looks) => {
      let held: Replicas | undefined;
      let now = 0;
      for (const { episodes, afterMs } of looks) {
        held = nextReplicas(roles, held, episodes === undefined ? undefined : demand(episodes), (now += afterMs));
        expect(held.rollout).toBeGreaterThanOrEqual(1);
        expect(held.rollout).toBeLessThanOrEqual(8);
        expect(held.teacherScoring).toBeLessThanOrEqual(2);
      }
    }));
  });

  test('rise at once and fall only after fewer would have done for a while', () => {
    const high = nextReplicas(roles, undefined, demand(100), 0);
    expect(high).toEqual({ rollout: 7, teacherScoring: 2 });
    const waiting = nextReplicas(roles, high, demand(20), 1000);
    expect(waiting).toEqual({ rollout: 7, teacherScoring: 2, lowerSince: new Date(1000).toISOString() });
    expect(nextReplicas(roles, waiting, demand(20), 1000 + LOWER_AFTER_MS - 1)).toEqual(waiting);
    expect(nextReplicas(roles, waiting, demand(20), 1000 + LOWER_AFTER_MS)).toEqual({ rollout: 2, teacherScoring: 1 });
    expect(nextReplicas(roles, waiting, demand(100), 50_000)).toEqual(high);
  });

  test('stay when nobody knows', () => {
    const waiting = { rollout: 5, teacherScoring: 1, lowerSince: new Date(0).toISOString() };
    expect(nextReplicas(roles, waiting, undefined, 1e9)).toEqual(waiting);
  });
});
