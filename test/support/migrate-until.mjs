// node migrate-until.mjs FILE SQL: migrates a log of format 1 and kills itself, as by kill -9, just before the first statement that starts with SQL.
// With a cache so small that what was rewritten by then lies in the write-ahead log.
import Database from 'better-sqlite3';
import { migrate } from '../../dist/services/adapters/log/format-1.js';

const [file, sql] = process.argv.slice(2);
const db = new Database(file);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.pragma('cache_size = 20');
const exec = db.exec.bind(db);
db.exec = (text) => {
  if (text.trim().startsWith(sql)) process.kill(process.pid, 'SIGKILL');
  return exec(text);
};
migrate(db, file);
