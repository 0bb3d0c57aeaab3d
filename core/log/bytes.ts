/**
 * Numbers as bytes on the wire and in blobs: u32 and f32, little-endian, packed, no header.
 * Copies both ways, so any byte offset is safe and nothing is aliased. A length that is no multiple of 4 is CORRUPT.
 */
import { StemmaError } from '../errors.js';

const WORD_BYTES = 4;
/** One number, as f32 and as its bits. */
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

// Written byte by byte: a view on other words' buffer would keep that buffer beside the heap, which for a turn's few numbers costs more than they do.
export function packU32(values: Uint32Array | readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * WORD_BYTES);
  for (let at = 0; at < values.length; at += 1) setWord(bytes, at, values[at]!);
  return bytes;
}

export function unpackU32(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(wordCount(bytes));
  unpackInto(words, 0, bytes);
  return words;
}

/** From `at` on, where there is room for them. */
export function unpackInto(words: Uint32Array, at: number, bytes: Uint8Array): void {
  const end = at + wordCount(bytes);
  // Faster than a copy of the bytes and a view on it, which are two allocations more.
  for (let to = at, from = 0; to < end; to += 1, from += WORD_BYTES) words[to] = wordAt(bytes, from);
}

/** How many numbers these bytes are. */
export function wordCount(bytes: Uint8Array): number {
  if (bytes.length % WORD_BYTES !== 0) {
    throw new StemmaError('log', 'CORRUPT', `packed numbers of ${bytes.length} bytes: not a multiple of ${WORD_BYTES}`,
      'The event or blob was altered or cut: run the ledger check on this run.');
  }
  return bytes.length / WORD_BYTES;
}

export function packF32(values: Float32Array | readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * WORD_BYTES);
  for (let at = 0; at < values.length; at += 1) {
    float[0] = values[at]!;
    setWord(bytes, at, bits[0]!);
  }
  return bytes;
}

export function unpackF32(bytes: Uint8Array): Float32Array {
  return new Float32Array(unpackU32(bytes).buffer);
}

function setWord(bytes: Uint8Array, at: number, word: number): void {
  const to = at * WORD_BYTES;
  bytes[to] = word;
  bytes[to + 1] = word >>> 8;
  bytes[to + 2] = word >>> 16;
  bytes[to + 3] = word >>> 24;
}

function wordAt(bytes: Uint8Array, from: number): number {
  return bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24);
}
