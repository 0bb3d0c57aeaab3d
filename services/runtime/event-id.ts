import { createHash } from 'node:crypto';
import { naturalKey, type Payload } from '../../core/log/keys.js';

const ID_HEX_DIGITS = 32;

/**
 * The id of a fact: the first 32 hex digits of sha256 over the JSON array [stream, payload type, natural key, claim],
 * which is unambiguous where joined strings are not. The payload is not in it: protobuf bytes are not canonical, and
 * the same key with another payload must be caught, not written beside.
 */
export function eventId(stream: string, payload: Payload, claim: string): string {
  const tuple = JSON.stringify([stream, payload.$case, naturalKey(payload), claim]);
  return createHash('sha256').update(tuple, 'utf8').digest('hex').slice(0, ID_HEX_DIGITS);
}
