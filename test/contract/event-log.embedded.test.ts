import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { eventLogContract } from './event-log.cases.js';

eventLogContract('embedded', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'stemma-log-'));
  return {
    open: () => openEmbeddedLogs(directory),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
});
