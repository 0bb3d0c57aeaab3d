/**
 * The embedded log: one SQLite file a run, `<directory>/<run>.sqlite`, one writer process, any number of readers.
 * What SQLite, the lock and the thread promise: docs/decisions/embedded-log.md.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StemmaError } from '../../../core/errors.js';
import type { RunLogs } from '../../../core/ports.js';
import { assertRunId } from '../../runtime/run-id.js';
import { checkFormat, logError } from './embedded-file.js';
import { EmbeddedLog } from './embedded-log.js';
import { openReadConnection } from './embedded-reader.js';
import { startWriter } from './embedded-writer.js';
import { createRunHandles } from './run-handles.js';

const SUFFIX = '.sqlite';

export interface EmbeddedOptions {
  /** Appends that would grow a run's file beyond this are DISK_FULL. Default: no limit. */
  readonly maxFileBytes?: number;
}

/**
 * Within these RunLogs a run has one writer however often it is opened; a second RunLogs over the same directory, in
 * this or another process, is refused with LOCKED.
 */
export async function openEmbeddedLogs(directory: string, options: EmbeddedOptions = {}): Promise<RunLogs & { close(): Promise<void> }> {
  const root = resolve(directory);
  await mkdir(root, { recursive: true }).catch((error: unknown) => { throw logError(error, root); });
  const handles = createRunHandles();
  return {
    async open(run, mode) {
      const file = join(root, `${assertRunId(run, 'log')}${SUFFIX}`);
      return handles.open(`${mode} ${run}`, () => (mode === 'write' ? openForWriting(run, file, options) : openForReading(run, file)));
    },
    list: () => listRuns(root),
    close: () => handles.close(),
  };
}

async function openForWriting(run: string, file: string, options: EmbeddedOptions): Promise<EmbeddedLog> {
  let log: EmbeddedLog | null = null;
  const writer = await startWriter({ run, file, maxFileBytes: options.maxFileBytes ?? 0 }, () => log?.wake());
  log = new EmbeddedLog(file, openReadConnection(file), writer);
  return log;
}

async function openForReading(run: string, file: string): Promise<EmbeddedLog> {
  const missing = (): StemmaError => new StemmaError('log', 'NOT_FOUND', `there is no run ${run}`, 'List the runs with: stemma status.');
  if (!existsSync(file)) throw missing();
  const db = openReadConnection(file);
  try {
    if (checkFormat(db, file, false) === 'empty') throw missing();
    return new EmbeddedLog(file, db, null);
  } catch (error) {
    db.close();
    throw logError(error, file);
  }
}

async function listRuns(root: string): Promise<readonly string[]> {
  const files = (await readdir(root)).filter((name) => name.endsWith(SUFFIX));
  const created = await Promise.all(files.map(async (name) => {
    const { birthtimeNs, mtimeNs } = await stat(join(root, name), { bigint: true });
    // Some file systems record no birth time.
    return { run: name.slice(0, -SUFFIX.length), at: birthtimeNs > 0n ? birthtimeNs : mtimeNs };
  }));
  return created.sort((a, b) => (a.at === b.at ? b.run.localeCompare(a.run) : a.at > b.at ? -1 : 1)).map(({ run }) => run);
}
