import { defineConfig } from 'vitest/config';

/** The folder is the tier: its name, the longest a test of it may take, whether its files may run side by side. */
const TIERS: readonly [name: string, testTimeoutMs: number, parallel: boolean][] = [
  ['unit', 20_000, true],
  ['golden', 20_000, true],
  ['contract', 30_000, true],
  ['replay', 60_000, true],
  ['simulation', 120_000, true],
  ['integration', 180_000, false],
  ['e2e', 600_000, false],
  ['faults', 600_000, false],
  ['fuzz', 600_000, false],
];

export default defineConfig({
  test: {
    projects: TIERS.map(([name, testTimeoutMs, parallel]) => ({
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        environment: 'node' as const,
        testTimeout: testTimeoutMs,
        hookTimeout: testTimeoutMs,
        fileParallelism: parallel,
        setupFiles: name === 'simulation' ? ['test/simulation/stand-ins.ts'] : [],
      },
    })),
  },
});
