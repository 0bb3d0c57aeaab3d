/** As Promise.all, but throws only once all have settled: what failed must not go on writing, or starting, beside its own retry. */
export async function settleAll<T extends readonly unknown[] | []>(work: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
