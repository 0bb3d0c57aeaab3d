/** Tails of a log that have read all there is, and wait. */
export class Tails {
  private readonly waiting = new Set<() => void>();

  /** Resolves at the next `wake`, or after `withinMs`. */
  news(withinMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = withinMs === undefined ? undefined : setTimeout(() => look(), withinMs);
      const look = (): void => {
        clearTimeout(timer);
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
    });
  }

  /** All look again. */
  wake(): void {
    for (const look of [...this.waiting]) look();
  }
}
