import { hash } from 'node:crypto';
import { naturalKey, type Payload } from '../../core/log/keys.js';

const ID_BYTES = 16;

/**
 * The id of a fact: the first 32 hex digits of sha256 over the JSON array [stream, payload type, natural key, claim],
 * which is unambiguous where joined strings are not. The payload is not in it: protobuf bytes are not canonical, and
 * the same key with another payload must be caught, not written beside.
 */
export function eventId(stream: string, payload: Payload, claim: string): string {
  const tuple = JSON.stringify([stream, payload.$case, naturalKey(payload), claim]);
  // Not a slice of all 64 digits, which would keep them in memory.
  return hash('sha256', tuple, 'buffer').toString('hex', 0, ID_BYTES);
}
