/**
 * Rollouts that stay for many steps beside a stage's advances, so that a step costs no trip through Temporal: it assigns a slot
 * for a minute, and the log says what is to be done. A slot whose worker dies is retried elsewhere; two that hold the same
 * episodes are told apart by their claims.
 */
import { CancellationScope } from '@temporalio/workflow';
import type { Standing, StageRef } from './activities.js';
import { standing } from './proxies.js';

export interface StandingRollouts {
  readonly any: boolean;
  /** A no-op while they stand. */
  begin(): void;
  /** Rejects when one cannot go on. Never resolves. */
  failed(): Promise<never>;
  /** When it resolves nothing is pending here; what a worker still does is its own and counts or not by its claims. */
  end(): Promise<void>;
}

export function standingRollouts(ref: StageRef, slots: number): StandingRollouts {
  let scope: CancellationScope | undefined;
  let all: Promise<unknown> = Promise.resolve();
  return {
    any: slots > 0,
    begin() {
      if (scope !== undefined || slots === 0) return;
      scope = new CancellationScope();
      all = scope.run(() => Promise.all(Array.from({ length: slots }, (_, slot) => stand({ run: ref.run, stage: ref.stage, slot, slots }))));
      all.catch(() => undefined);
    },
    failed: () => all.then(() => new Promise<never>(() => undefined)),
    async end() {
      scope?.cancel();
      scope = undefined;
      await all.catch(() => undefined);
      all = Promise.resolve();
    },
  };
}

async function stand(slot: Standing): Promise<void> {
  for (;;) {
    const { over } = await standing(`${slot.stage}: rollouts, slot ${slot.slot + 1} of ${slot.slots}`).standRollouts(slot);
    if (over) return;
  }
}
