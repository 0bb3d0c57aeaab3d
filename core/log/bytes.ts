/**
 * Numbers as bytes on the wire and in blobs: u32 and f32, little-endian, packed, no header.
 * Copies both ways, so any byte offset is safe and nothing is aliased. A length that is no multiple of 4 is CORRUPT.
 */
import { StemmaError } from '../errors.js';

const WORD_BYTES = 4;
const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

export function packU32(values: Uint32Array | readonly number[]): Uint8Array {
  return littleEndian(new Uint8Array(Uint32Array.from(values).buffer));
}

export function unpackU32(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(wordCount(bytes));
  // Faster than a copy of the bytes and a view on it, which are two allocations more.
  for (let at = 0, from = 0; at < words.length; at += 1, from += WORD_BYTES) words[at] = wordAt(bytes, from);
  return words;
}

export function packF32(values: Float32Array | readonly number[]): Uint8Array {
  return littleEndian(new Uint8Array(Float32Array.from(values).buffer));
}

export function unpackF32(bytes: Uint8Array): Float32Array {
  return new Float32Array(unpackU32(bytes).buffer);
}

function wordAt(bytes: Uint8Array, from: number): number {
  return bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24);
}

function wordCount(bytes: Uint8Array): number {
  if (bytes.length % WORD_BYTES !== 0) {
    throw new StemmaError('log', 'CORRUPT', `packed numbers of ${bytes.length} bytes: not a multiple of ${WORD_BYTES}`,
      'The event or blob was altered or cut: run the ledger check on this run.');
  }
  return bytes.length / WORD_BYTES;
}

/** Swaps in place between host order and little-endian; nothing to do on a little-endian host. */
function littleEndian(bytes: Uint8Array): Uint8Array {
  if (HOST_IS_LITTLE_ENDIAN) return bytes;
  for (let at = 0; at < bytes.length; at += WORD_BYTES) bytes.subarray(at, at + WORD_BYTES).reverse();
  return bytes;
}
