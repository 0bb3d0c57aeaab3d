/** One commit of many appends: each append is in it as a whole or not at all. */
import type Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import { logError } from './embedded-file.js';
import { prepareInsert, type Insert } from './embedded-insert.js';
import { ID_BYTES, toWire, type CommitGroup, type Committed, type WireError } from './embedded-protocol.js';

export type Commit = (group: CommitGroup) => Committed;

const NOWHERE = new Uint32Array(0);

export function prepareCommit(db: Database.Database, file: string): Commit {
  const inserting = prepareInsert(db, file);
  const insertGroup = prepareGroup(db, inserting);
  let broken: WireError | null = null;
  return (group) => {
    if (broken !== null) return refused(group, broken);
    try {
      return insertGroup(group);
    } catch (error) {
      inserting.reset();
      const failed = logError(error, file);
      // After a failed fsync the page cache may claim what the disk does not hold: nothing can be promised until reopened.
      if (failed.code !== 'DISK_FULL') broken = toWire(failed);
      return refused(group, toWire(failed));
    }
  };
}

function refused({ counts }: CommitGroup, error: WireError): Committed {
  return { results: Array.from(counts, () => error), positions: NOWHERE };
}

interface Range {
  /** Events of the group. */
  readonly from: number;
  readonly to: number;
}

function prepareGroup(db: Database.Database, { insert, save, reset }: Insert): Commit {
  const insertRange = (group: CommitGroup, { from, to }: Range, positions: Uint32Array): void => {
    for (let index = from; index < to; index += 1) {
      const start = group.starts[index]!;
      positions[index] = insert({
        stream: group.streams[group.streamOf[index]!]!, id: group.ids.subarray(index * ID_BYTES, (index + 1) * ID_BYTES),
        event: group.bytes.subarray(start, start + group.lengths[index]!), crc: group.crcs[index]!, cursor: null,
      });
    }
    save();
  };
  const whole = db.transaction(insertRange).immediate;

  // Nested, better-sqlite3 makes this a savepoint.
  const insertAppend = db.transaction(insertRange);
  const oneByOne = db.transaction((group: CommitGroup, positions: Uint32Array) => rangesOf(group).map((range) => {
    try {
      insertAppend(group, range, positions);
      return null;
    } catch (error) {
      if (!(error instanceof StemmaError)) throw error;
      reset();
      return toWire(error);
    }
  })).immediate;

  return (group) => {
    const positions = new Uint32Array(group.lengths.length);
    try {
      whole(group, { from: 0, to: group.lengths.length }, positions);
      return { results: Array.from(group.counts, () => null), positions };
    } catch (error) {
      if (!(error instanceof StemmaError)) throw error;
      // One append is refused, which is rare: rolled back, the group is written again with a savepoint around each.
      reset();
      return { results: oneByOne(group, positions), positions };
    }
  };
}

/** One an append. */
function rangesOf({ counts }: CommitGroup): Range[] {
  let from = 0;
  return Array.from(counts, (count) => {
    const range = { from, to: from + count };
    from = range.to;
    return range;
  });
}
