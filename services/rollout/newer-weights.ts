/** Turns in flight and the weights they are sampled with: each is interrupted when its stage has newer ones. One look serves them all. */
import { setTimeout as delay } from 'node:timers/promises';
import type { StopSignal } from '../../core/ports.js';
import type { PolicyRef } from '../../core/stage/staleness.js';

const LOOK_EVERY_MS = 5;

export class NewerWeights {
  private readonly inFlight = new Map<AbortController, string>();
  private watching = false;

  constructor(private readonly newest: () => Promise<PolicyRef>) {}

  /** `newer` aborts once the newest weights are others than these. */
  async during<T>(weightsHash: string, work: (newer: StopSignal) => Promise<T>): Promise<T> {
    const turn = new AbortController();
    this.inFlight.set(turn, weightsHash);
    if (!this.watching) void this.watch();
    try {
      return await work(turn.signal);
    } finally {
      this.inFlight.delete(turn);
    }
  }

  private async watch(): Promise<void> {
    this.watching = true;
    while (this.inFlight.size > 0) {
      // What keeps the stream from being read is said by the next turn, which reads it too.
      const now = await this.newest().catch(() => undefined);
      if (now) for (const [turn, weightsHash] of this.inFlight) if (weightsHash !== now.weightsHash) turn.abort();
      await delay(LOOK_EVERY_MS);
    }
    this.watching = false;
  }
}
