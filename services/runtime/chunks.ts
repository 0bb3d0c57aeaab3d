/** Streams read side by side: enough to keep a log busy, few enough to bound memory. */
const STREAMS_AT_ONCE = 64;

/** What to do at once of a work on many streams. */
export function* chunksOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += STREAMS_AT_ONCE) yield items.slice(at, at + STREAMS_AT_ONCE);
}
