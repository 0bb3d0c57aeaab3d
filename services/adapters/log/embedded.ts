/**
 * The embedded log: one SQLite file a run, `<directory>/<run>.sqlite`, one writer process, any number of readers.
 * What SQLite, the lock and the thread promise: docs/decisions/embedded-log.md.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StemmaError } from '../../../core/errors.js';
import type { EventLog, RunLogs } from '../../../core/ports.js';
import { checkFormat, logError } from './embedded-file.js';
import { EmbeddedLog, openReadConnection } from './embedded-log.js';
import { startWriter } from './embedded-writer.js';

const SUFFIX = '.sqlite';
const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export interface EmbeddedOptions {
  /** Appends that would grow a run's file beyond this are DISK_FULL. Default: no limit. */
  readonly maxFileBytes?: number;
}

type Mode = 'write' | 'read';

/** Opened once a mode and process; closed when the last handle is. */
interface Shared {
  readonly log: Promise<EmbeddedLog>;
  handles: number;
}

/**
 * Within these RunLogs a run has one writer however often it is opened; a second RunLogs over the same directory, in
 * this or another process, is refused with LOCKED.
 */
export async function openEmbeddedLogs(directory: string, options: EmbeddedOptions = {}): Promise<RunLogs & { close(): Promise<void> }> {
  const root = resolve(directory);
  await mkdir(root, { recursive: true }).catch((error: unknown) => { throw logError(error, root); });
  const open = new Map<string, Shared>();
  const closing = new Map<string, Promise<void>>();

  async function openShared(run: string, mode: Mode): Promise<EventLog> {
    const file = join(root, `${assertRun(run)}${SUFFIX}`);
    const key = `${mode} ${run}`;
    await closing.get(key);
    const shared = open.get(key) ?? { log: mode === 'write' ? openForWriting(run, file, options) : openForReading(run, file), handles: 0 };
    open.set(key, shared);
    shared.handles += 1;
    try {
      return handle(await shared.log, () => release(key, shared));
    } catch (error) {
      // The next caller tries anew.
      if (open.get(key) === shared) open.delete(key);
      throw error;
    }
  }

  async function release(key: string, shared: Shared): Promise<void> {
    shared.handles -= 1;
    if (shared.handles > 0) return;
    if (open.get(key) === shared) open.delete(key);
    // Opened again meanwhile, it must find the lock free.
    const done = shared.log.then((log) => log.close()).finally(() => closing.delete(key));
    closing.set(key, done);
    await done;
  }

  return {
    open: openShared,
    list: () => listRuns(root),
    async close() {
      const all = [...open.values()];
      open.clear();
      // One that failed to open has told its opener.
      await Promise.all(all.map(({ log }) => log.then((opened) => opened.close(), () => undefined)));
      await Promise.all(closing.values());
    },
  };
}

async function openForWriting(run: string, file: string, options: EmbeddedOptions): Promise<EmbeddedLog> {
  let log: EmbeddedLog | null = null;
  const writer = await startWriter({ run, file, maxFileBytes: options.maxFileBytes ?? 0 }, () => log?.wake());
  log = new EmbeddedLog(file, openReadConnection(file), writer);
  return log;
}

async function openForReading(run: string, file: string): Promise<EmbeddedLog> {
  const missing = (): StemmaError => new StemmaError('log', 'NOT_FOUND', `there is no run ${run} (${file})`, 'List the runs with: stemma status.');
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

function handle(log: EmbeddedLog, release: () => Promise<void>): EventLog {
  let released: Promise<void> | null = null;
  return {
    append: (events) => log.append(events),
    readStream: (stream, fromPosition) => log.readStream(stream, fromPosition),
    tail: (cursor, signal) => log.tail(cursor, signal),
    close: () => (released ??= release()),
  };
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

function assertRun(run: string): string {
  if (RUN_ID.test(run)) return run;
  throw new StemmaError('log', 'INVALID', `"${run}" cannot be a run id`, 'Use letters, digits, dot, dash and underscore, at most 100.');
}
