import { hash } from 'node:crypto';

/**
 * Seed of one random draw: the first 8 bytes (big-endian) of sha256 over an unambiguous encoding of its parts,
 * each as tag, byte length, bytes: ['ab','c'] and ['a','bc'] differ, '1' and 1 differ, 1 and 1n are the same integer.
 * Parts are (recipe seed, stage, step, prompt, sample, …), never run, attempt or claim: a disturbed run draws the same.
 * Throws RangeError on a number that is no safe integer.
 */
export function deriveSeed(parts: readonly (string | number | bigint)[]): bigint {
  const encoded = parts.map((part) => {
    if (typeof part === 'number' && !Number.isSafeInteger(part)) throw new RangeError(`a seed part must be an integer: ${part}`);
    const text = String(part);
    return `${typeof part === 'string' ? 's' : 'i'}${Buffer.byteLength(text, 'utf8')}:${text}`;
  });
  return hash('sha256', encoded.join(''), 'buffer').readBigUInt64BE(0);
}
