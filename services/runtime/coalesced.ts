/**
 * Callers that come while a call runs share the next one, so that each has the answer to a question that was asked
 * after it came, and no more than one is asked at a time.
 */
export function coalesced<T>(call: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  let next: Promise<T> | null = null;

  const start = (): Promise<T> => {
    const started = call();
    running = started;
    const end = (): void => { if (running === started) running = null; };
    started.then(end, end);
    return started;
  };

  return () => {
    if (running === null) return start();
    const go = (): Promise<T> => { next = null; return start(); };
    return (next ??= running.then(go, go));
  };
}
