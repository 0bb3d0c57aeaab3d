/** What has been opened, to be closed the other way round: also when opening the next thing fails. */
export interface Closers {
  add(closer: () => unknown): void;
  /** The last added first, each once. */
  close(): Promise<void>;
}

/** `onFailure` hears of a closer that failed and the others still run; without it the first failure is thrown. */
export function createClosers(onFailure: (error: unknown) => void = (error) => { throw error; }): Closers {
  const closers: (() => unknown)[] = [];
  return {
    add: (closer) => void closers.push(closer),
    async close() {
      for (const closer of closers.splice(0).reverse()) {
        try {
          await closer();
        } catch (error) {
          onFailure(error);
        }
      }
    },
  };
}
