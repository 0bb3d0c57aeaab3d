/** One commit of many appends: each append is in it as a whole or not at all. */
import type Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import { logError } from './embedded-file.js';
import { prepareInsert } from './embedded-insert.js';
import { toWire, type CommitGroup, type WireError } from './embedded-protocol.js';

const ID_BYTES = 16;

export type Commit = (group: CommitGroup) => readonly (WireError | null)[];

export function prepareCommit(db: Database.Database, file: string): Commit {
  const { insert, reset } = prepareInsert(db, file);
  const insertGroup = prepareGroup(db, insert, reset);
  let broken: WireError | null = null;
  return (group) => {
    if (broken !== null) return Array.from(group.counts, () => broken);
    try {
      return insertGroup(group);
    } catch (error) {
      reset();
      const failed = logError(error, file);
      // After a failed fsync the page cache may claim what the disk does not hold: nothing can be promised until reopened.
      if (failed.code !== 'DISK_FULL') broken = toWire(failed);
      return Array.from(group.counts, () => toWire(failed));
    }
  };
}

type Inserting = ReturnType<typeof prepareInsert>;

function prepareGroup(db: Database.Database, insert: Inserting['insert'], reset: Inserting['reset']): Commit {
  const insertRange = (group: CommitGroup, from: number, to: number, offset: number): number => {
    let at = offset;
    for (let index = from; index < to; index += 1) {
      const next = at + group.lengths[index]!;
      insert({
        stream: group.streams[group.streamOf[index]!]!, id: group.ids.subarray(index * ID_BYTES, (index + 1) * ID_BYTES),
        event: group.bytes.subarray(at, next), cursor: null,
      });
      at = next;
    }
    return at;
  };
  const whole = db.transaction((group: CommitGroup) => void insertRange(group, 0, group.lengths.length, 0)).immediate;

  // Nested, better-sqlite3 makes this a savepoint.
  const insertAppend = db.transaction(insertRange);
  const oneByOne = db.transaction((group: CommitGroup) => {
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

  return (group) => {
    try {
      whole(group);
      return Array.from(group.counts, () => null);
    } catch (error) {
      if (!(error instanceof StemmaError)) throw error;
      // One append is refused, which is rare: rolled back, the group is written again with a savepoint around each.
      reset();
      return oneByOne(group);
    }
  };
}
