import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import { takeFileLock, type FileLock } from '../adapters/log/file-lock.js';

/** One platform a home: a second one would start another Temporal server on the same database and take the first one's work. */
export function takeHome(home: string): FileLock {
  mkdirSync(home, { recursive: true });
  return takeFileLock(join(home, 'platform.lock'), (cause) =>
    new StemmaError('setup', 'LOCKED', `${home} is in use by another Stemma process`,
      'Its embedded log has one writer process. Stop that one, watch it with `npm run stemma -- status`, set STEMMA_HOME to another folder, or let several processes share a log: --log kafka://host:port, or `npm run stemma -- up --distributed`.', cause));
}
