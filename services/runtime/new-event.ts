import { StemmaError } from '../../core/errors.js';
import { streamKindOf, type Payload } from '../../core/log/keys.js';
import { SCHEMA_VERSION } from '../../core/log/upcast.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { eventId } from './event-id.js';

export interface EventOrigin {
  readonly stream: string;
  readonly run: string;
  /** Empty for facts without a role. */
  readonly claim: string;
  /** 0 for facts without a role. */
  readonly seq: number;
  readonly causationId?: string;
}

/** INVALID where docs/events.md puts this payload on another kind of stream. */
export function newEvent(origin: EventOrigin, payload: Payload): Event {
  const kind = streamKindOf(payload);
  if (kind !== null && !origin.stream.startsWith(`${kind}/`)) {
    throw new StemmaError('log', 'INVALID', `${payload.$case} does not belong on stream ${origin.stream}`,
      `Record it on the ${kind} stream (docs/events.md).`);
  }
  return {
    id: eventId(origin.stream, payload, origin.claim),
    stream: origin.stream,
    claim: origin.claim,
    seq: origin.seq,
    causationId: origin.causationId ?? '',
    correlationId: origin.run,
    schemaVersion: SCHEMA_VERSION,
    recordedAtMs: BigInt(Date.now()),
    payload,
  };
}
