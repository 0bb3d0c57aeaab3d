/** What teacher scoring counts. */
import type { Registry } from 'prom-client';
import { counter, histogram } from '../runtime/metrics.js';

export interface ScoringMetrics {
  scored(purpose: string, episodes: number, tokens: number): void;
  reused(purpose: string, episodes: number): void;
  failed(purpose: string, episodes: number): void;
  chunk(seconds: number): void;
}

export function createScoringMetrics(registry: Registry): ScoringMetrics {
  const episodes = counter(registry, { name: 'stemma_scoring_episodes_total', help: 'Episodes asked for, by what became of them.', labels: ['purpose', 'outcome'] });
  // From zero on, so that the first failure is an increase too.
  for (const purpose of ['teacher', 'reference']) for (const outcome of ['scored', 'reused', 'failed']) episodes.inc({ purpose, outcome }, 0);
  const tokens = counter(registry, { name: 'stemma_scoring_tokens_total', help: 'Generated tokens scored.', labels: ['purpose'] });
  const seconds = histogram(registry, { name: 'stemma_scoring_chunk_seconds', help: 'Latency of scoring one chunk, retries included.' });
  return {
    scored(purpose, count, tokenCount) {
      episodes.inc({ purpose, outcome: 'scored' }, count);
      tokens.inc({ purpose }, tokenCount);
    },
    reused: (purpose, count) => episodes.inc({ purpose, outcome: 'reused' }, count),
    failed: (purpose, count) => episodes.inc({ purpose, outcome: 'failed' }, count),
    chunk: (duration) => seconds.observe(duration),
  };
}
