/**
 * The local index of one run: the embedded log's tables, filled from the topic's partitions, and how far each was read.
 *
 *   cursor = partition · 2⁴⁰ + offset    so that a partition is one range of rows, whatever the order of indexing
 *   offsets(partition, next)             the first offset that is not in the index; in one transaction with the rows before it
 *
 * It is a fold of the topic and nothing else: deleted, it is built again. Several processes may fill one file: what
 * one has inserted the others find there, row by row, and drop.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import type { StoredEvent } from '../../../core/ports.js';
import { checkFormat, createSchema, logError } from './embedded-file.js';
import { prepareInsert } from './embedded-insert.js';
import { FileReader } from './embedded-reader.js';
import type { InMessage } from './kafka-client.js';

const SPAN = 2 ** 40;
const BUSY_TIMEOUT_MS = 10_000;
const CACHE_KIB = 16_384;
/** Protobuf tags of `Event.id` and `Event.stream`, which are written first and in this order. */
const ID_TAG = (1 << 3) | 2;
const STREAM_TAG = (2 << 3) | 2;

const PROGRESS_SCHEMA = `
  CREATE TABLE offsets(partition INTEGER PRIMARY KEY, next INTEGER NOT NULL) STRICT;
  CREATE TABLE source(topic TEXT NOT NULL, incarnation INTEGER NOT NULL, partitions INTEGER NOT NULL) STRICT;
`;

/** Which log this is an index of: `incarnation` differs when a run of the same name was deleted and created again. */
export interface IndexSource {
  readonly topic: string;
  readonly incarnation: number;
  readonly partitions: number;
}

/** An event that stands in the partition and does not count, since its id stood there before with another payload. */
export interface Refusal {
  readonly partition: number;
  readonly offset: number;
  readonly error: StemmaError;
}

export interface PartitionPage {
  readonly events: readonly StoredEvent[];
  /** The offset to go on from. */
  readonly next: number;
}

export interface KafkaIndex {
  /** The first offset of the partition that this process has not indexed. */
  next(partition: number): number;
  commit(fetched: ReadonlyMap<number, readonly InMessage[]>): readonly Refusal[];
  readStream(stream: string, fromPosition: number): Promise<readonly StoredEvent[]>;
  page(partition: number, fromOffset: number): PartitionPage;
  close(): void;
}

/** An index of another log or in an older format, or a damaged one, is removed and begun anew. */
export function openKafkaIndex(file: string, source: IndexSource): KafkaIndex {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const db = openFor(file, source) ?? openAfresh(file, source);
    return indexOf(db, file, source);
  } catch (error) {
    throw logError(error, file);
  }
}

/** null: it cannot serve this source. */
function openFor(file: string, source: IndexSource): Database.Database | null {
  const db = new Database(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    db.pragma('journal_mode = WAL');
    // A lost power supply costs the last commits, offsets and rows alike; they are read again.
    db.pragma('synchronous = NORMAL');
    db.pragma(`cache_size = -${CACHE_KIB}`);
    const fits = db.transaction(() => {
      const format = checkFormat(db, file, false);
      if (format === 'old') return false;
      if (format === 'empty') create(db, file, source);
      const found = db.prepare<[], IndexSource>('SELECT topic, incarnation, partitions FROM source').get();
      return found?.topic === source.topic && found.incarnation === source.incarnation && found.partitions === source.partitions;
    }).exclusive();
    if (fits) return db;
  } catch (error) {
    db.close();
    const { code } = logError(error, file);
    if (code === 'CORRUPT' || code === 'UNSUPPORTED') return null;
    throw error;
  }
  db.close();
  return null;
}

function openAfresh(file: string, source: IndexSource): Database.Database {
  removeKafkaIndex(file);
  const db = openFor(file, source);
  if (db) return db;
  throw new StemmaError('log', 'CORRUPT', `index ${file} cannot be made`, 'Check that directory and its disk.');
}

export function removeKafkaIndex(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) if (existsSync(file + suffix)) rmSync(file + suffix, { force: true });
}

function create(db: Database.Database, file: string, { topic, incarnation, partitions }: IndexSource): void {
  createSchema(db, file);
  db.exec(PROGRESS_SCHEMA);
  db.prepare('INSERT INTO source VALUES (?, ?, ?)').run(topic, incarnation, partitions);
}

function indexOf(db: Database.Database, file: string, { topic, partitions }: IndexSource): KafkaIndex {
  const reader = new FileReader(file, db);
  const { insert, save, reset, recheck } = prepareInsert(db, file);
  const advance = db.prepare('INSERT INTO offsets VALUES (?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)');
  const next = Array.from({ length: partitions }, () => 0);
  for (const row of db.prepare<[], { partition: number; next: number }>('SELECT partition, next FROM offsets').all()) next[row.partition] = row.next;

  const commit = db.transaction((fetched: ReadonlyMap<number, readonly InMessage[]>): Refusal[] => {
    recheck();
    const refusals: Refusal[] = [];
    for (const [partition, messages] of fetched) {
      for (const { offset, value } of messages) {
        try {
          const { stream, id } = identify(value, { topic, partition, offset });
          insert({ stream, id: Buffer.from(id, 'hex'), event: value, crc: crc32(value), cursor: partition * SPAN + offset });
        } catch (error) {
          if (!(error instanceof StemmaError) || error.code !== 'HASH_MISMATCH') throw error;
          refusals.push({ partition, offset, error });
        }
      }
      advance.run(partition, messages[messages.length - 1]!.offset + 1);
    }
    save();
    return refusals;
  }).immediate;

  return {
    next: (partition) => next[partition]!,
    commit(fetched) {
      try {
        const refusals = commit(fetched);
        for (const [partition, messages] of fetched) next[partition] = Math.max(next[partition]!, messages[messages.length - 1]!.offset + 1);
        return refusals;
      } catch (error) {
        reset();
        throw logError(error, file);
      }
    },
    readStream: (stream, fromPosition) => reader.readStream(stream, fromPosition),
    page(partition, fromOffset) {
      const { rows } = reader.between(partition * SPAN + fromOffset - 1, (partition + 1) * SPAN);
      const last = rows[rows.length - 1];
      return { events: rows.map((row) => reader.decode(row)), next: last ? last.cursor - partition * SPAN + 1 : fromOffset };
    },
    close: () => void db.close(),
  };
}

/** Reads the first two fields only: an index is bound by how fast it decodes, and whoever reads the event decodes the rest. */
function identify(value: Uint8Array, at: { topic: string; partition: number; offset: number }): { stream: string; id: string } {
  try {
    const reader = new BinaryReader(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    const id = reader.uint32() === ID_TAG ? reader.string() : '';
    const stream = reader.uint32() === STREAM_TAG ? reader.string() : '';
    if (stream !== '' && /^[0-9a-f]{32}$/.test(id)) return { stream, id };
  } catch {
    // Said below.
  }
  throw new StemmaError('log', 'CORRUPT', `${at.topic} holds what is no event, at offset ${at.offset} of partition ${at.partition}`,
    'Something else writes to this topic: stop it, and start a new run.');
}
