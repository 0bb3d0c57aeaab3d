/**
 * Which episodes share a score table: by scorer, in the order given, up to 64 episodes or 256 Ki tokens.
 * The plan covers recorded episodes too, so that an interrupted request asked again makes the same chunks and,
 * scores being a pure function of a chunk, the same blobs.
 */
const CHUNK_EPISODES = 64;
/** At k = 64 a scored token is 512 bytes: a table stays under 128 MiB. */
const CHUNK_TOKENS = 262_144;

export function planChunks<E>(episodes: readonly E[], scorerOf: (episode: E) => string, tokensOf: (episode: E) => number): E[][] {
  const chunks: E[][] = [];
  const open = new Map<string, { chunk: E[]; tokens: number }>();
  for (const episode of episodes) {
    const scorer = scorerOf(episode);
    const tokens = tokensOf(episode);
    let current = open.get(scorer);
    if (current === undefined || current.chunk.length === CHUNK_EPISODES || current.tokens + tokens > CHUNK_TOKENS) {
      current = { chunk: [], tokens: 0 };
      open.set(scorer, current);
      chunks.push(current.chunk);
    }
    current.chunk.push(episode);
    current.tokens += tokens;
  }
  return chunks;
}
