/** The writer's thread: holds the lock and the only writing connection; one message, one fsynced commit. */
import { existsSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import { prepareCommit } from './embedded-commit.js';
import { checkFormat, createSchema, logError, makeDurable } from './embedded-file.js';
import { takeFileLock, type FileLock } from './file-lock.js';
import { migrate } from './format-1.js';
import { toWire, type FromWriter, type ToWriter, type WriterOptions } from './embedded-protocol.js';

const CACHE_KIB = 65_536;
/** 16 MiB of WAL between checkpoints: fewer rewrites of the same pages than with the default of 4 MiB. */
const CHECKPOINT_PAGES = 4_000;

function takeLock({ run, file }: WriterOptions): FileLock {
  return takeFileLock(file.replace(/\.sqlite$/, '.lock'), (cause) =>
    new StemmaError('log', 'LOCKED', `the log of run ${run} is being written by ${holderOf(file)}`,
      'The embedded log has one writer process: stop that one, or use --log kafka://host:port for several processes.', cause));
}

function holderOf(file: string): string {
  try {
    const db = new Database(file, { readonly: true, fileMustExist: true });
    try {
      const row = db.prepare<[], { pid: number; host: string; since: string }>('SELECT pid, host, since FROM writer').get();
      return row ? `process ${row.pid} on ${row.host} since ${row.since}` : 'another process';
    } finally {
      db.close();
    }
  } catch {
    return 'another process';
  }
}

/** Through a read-only connection, so that a damaged file is left exactly as it was found. */
function formatOf(file: string): ReturnType<typeof checkFormat> {
  if (!existsSync(file) || statSync(file).size === 0) return 'empty';
  const db = new Database(file, { readonly: true });
  try {
    return checkFormat(db, file, true);
  } finally {
    db.close();
  }
}

function openWriter(options: WriterOptions): Database.Database {
  const { file, maxFileBytes } = options;
  const found = formatOf(file);
  const db = new Database(file);
  makeDurable(db);
  foldWal(db, file);
  db.pragma(`cache_size = -${CACHE_KIB}`);
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  if (maxFileBytes > 0) db.pragma(`max_page_count = ${Math.max(1, Math.floor(maxFileBytes / Number(db.pragma('page_size', { simple: true }))))}`);
  if (found === 'empty') createSchema(db, file);
  if (found === 'old') migrate(db, file);
  db.transaction(() => {
    db.prepare('DELETE FROM writer').run();
    db.prepare('INSERT INTO writer(pid, host, since) VALUES (?, ?, ?)').run(process.pid, hostname(), new Date().toISOString());
  })();
  return db;
}

/**
 * After a failed fsync the kernel calls the WAL's pages clean: every process reads them, a power cut takes them, and with them
 * all frames behind. So nothing is appended behind a WAL that was found: its frames are written and synced into the file anew.
 */
function foldWal(db: Database.Database, file: string): void {
  const [done] = db.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
  if (done?.busy === 0) return;
  throw new StemmaError('log', 'UNAVAILABLE', `readers of ${file} hold back its checkpoint`, 'Try again; if it stays, end the processes that read this run.');
}

function serve(options: WriterOptions): void {
  const port = parentPort!;
  const say = (message: FromWriter): void => port.postMessage(message);
  let lock: FileLock | undefined;
  try {
    lock = takeLock(options);
    const held = lock;
    const db = openWriter(options);
    const commit = prepareCommit(db, options.file);
    port.on('message', (message: ToWriter) => {
      if (message.kind === 'commit') {
        say({ kind: 'committed', ...commit(message) });
        return;
      }
      db.close();
      held.release();
      port.close();
    });
    say({ kind: 'ready' });
  } catch (error) {
    lock?.release();
    say({ kind: 'refused', error: toWire(logError(error, options.file)) });
    port.close();
  }
}

serve(workerData as WriterOptions);
