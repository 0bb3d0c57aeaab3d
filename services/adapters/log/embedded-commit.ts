/** One commit of many appends: each append is in it as a whole or not at all. */
import type Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import { logError } from './embedded-file.js';
import { prepareInsert } from './embedded-insert.js';
import { toWire, type CommitGroup, type WireError } from './embedded-protocol.js';

const ID_BYTES = 16;

export type Commit = (group: CommitGroup) => readonly (WireError | null)[];

export function prepareCommit(db: Database.Database, file: string): Commit {
  const insertGroup = prepareGroup(db, file);
  let broken: WireError | null = null;
  return (group) => {
    if (broken !== null) return Array.from(group.counts, () => broken);
    try {
      return insertGroup(group);
    } catch (error) {
      const failed = logError(error, file);
      // After a failed fsync the page cache may claim what the disk does not hold: nothing can be promised until reopened.
      if (failed.code !== 'DISK_FULL') broken = toWire(failed);
      return Array.from(group.counts, () => toWire(failed));
    }
  };
}

function prepareGroup(db: Database.Database, file: string): Commit {
  const { insert, reset } = prepareInsert(db, file);

  // Nested, better-sqlite3 makes this a savepoint.
  const insertAppend = db.transaction((group: CommitGroup, from: number, to: number, offset: number) => {
    let at = offset;
    for (let index = from; index < to; index += 1) {
      const next = at + group.lengths[index]!;
      insert({
        stream: group.streams[index]!, id: group.ids.subarray(index * ID_BYTES, (index + 1) * ID_BYTES),
        event: group.bytes.subarray(at, next), cursor: null,
      });
      at = next;
    }
  });

  return db.transaction((group: CommitGroup) => {
    reset();
    let from = 0;
    let offset = 0;
    return Array.from(group.counts, (count) => {
      const start = from;
      const startOffset = offset;
      from += count;
      for (let index = start; index < from; index += 1) offset += group.lengths[index]!;
      try {
        insertAppend(group, start, from, startOffset);
        return null;
      } catch (error) {
        if (!(error instanceof StemmaError)) throw error;
        reset();
        return toWire(error);
      }
    });
  }).immediate;
}
