import { defineConfig } from 'vitest/config';

/** What needs a real cluster with real pods: npm run test:cluster. Minutes each, one after the other. */
export default defineConfig({
  test: { include: ['test/cluster/**/*.test.ts'], environment: 'node', testTimeout: 1_200_000, hookTimeout: 600_000, fileParallelism: false, pool: 'forks' },
});
