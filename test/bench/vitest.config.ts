import { defineConfig } from 'vitest/config';

/** Benches that need the tests' own parts: npm run bench:kube. */
export default defineConfig({
  test: { include: ['test/bench/*.bench.ts'], environment: 'node', testTimeout: 1_200_000, hookTimeout: 120_000, execArgv: ['--expose-gc'], pool: 'forks' },
});
