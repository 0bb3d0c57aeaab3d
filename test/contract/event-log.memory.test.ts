/** The log that the simulation runs on keeps the same contract as the real ones. */
import { openMemoryLogs, type MemoryRuns } from '../simulation/memory-logs.js';
import { eventLogContract } from './event-log.cases.js';

eventLogContract('in memory', async () => {
  const runs: MemoryRuns = new Map();
  return { open: async () => openMemoryLogs(runs), dispose: async () => undefined };
});
