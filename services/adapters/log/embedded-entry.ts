/**
 * One entry of a stream's index: where its events [first, first + 32) lie, and a word of each one's id.
 * An entry is written when it is full, once, and never altered; what is newer is found by the chain of `previous`.
 */
import { crc32 } from 'node:zlib';
import { packU32, unpackU32 } from '../../../core/log/bytes.js';

export const ENTRY_EVENTS = 32;
/** A cursor is two words: a Kafka index numbers beyond 2³². */
const WORD = 2 ** 32;
const WORDS_AT = 2 * ENTRY_EVENTS;

/** The entry that is being filled, or one that was read. */
export type Entry = Uint32Array;

export const newEntry = (): Entry => new Uint32Array(3 * ENTRY_EVENTS);

export function setEntry(entry: Entry, at: number, cursor: number, word: number): void {
  entry[2 * at] = cursor % WORD;
  entry[2 * at + 1] = Math.floor(cursor / WORD);
  entry[WORDS_AT + at] = word;
}

export function cursorOf(entry: Entry, at: number): number {
  return entry[2 * at]! + entry[2 * at + 1]! * WORD;
}

export function wordOf(entry: Entry, at: number): number {
  return entry[WORDS_AT + at]!;
}

/** The word of an id that stands for it until it is compared: ids are hashes. */
export function firstWord(id: Uint8Array): number {
  return (id[0]! | (id[1]! << 8) | (id[2]! << 16) | (id[3]! << 24)) >>> 0;
}

/** How many events of a stream of `count` are in its entries. */
export const indexedOf = (count: number): number => count - (count % ENTRY_EVENTS);

export interface EntryRow {
  readonly first: number;
  readonly crc: number;
  readonly body: Uint8Array;
}

export function entryRow(entry: Entry, first: number): EntryRow {
  const body = packU32(entry);
  return { first, crc: crc32(body), body };
}

/** null: the bytes were altered. */
export function readEntry({ crc, body }: EntryRow): Entry | null {
  return body.length === 4 * 3 * ENTRY_EVENTS && crc32(body) === crc ? unpackU32(body) : null;
}
