/**
 * Events for ever: an event says which version of the schema wrote it, and reading makes an old one current.
 *
 *   v1 ──step 1──▶ v2 ──step 2──▶ … ──▶ SCHEMA_VERSION
 *
 * A step is pure and sees one event. Adding a field or a payload needs none (absent reads as its default); a change
 * of meaning does. Identity and order of an event never change: its id was hashed when it was written.
 */
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { StemmaError } from '../errors.js';

/** Of the events that this version writes. */
export const SCHEMA_VERSION = 1;

/** steps[n - 1] makes an event of version n one of version n + 1. */
export type Upcasters = readonly ((event: Event) => Event)[];

/** None yet: version 1 is the first. */
const UPCASTERS: Upcasters = [];

/** The event as this version would have written it. UNSUPPORTED for one that a newer version wrote. */
export function upcast(event: Event, steps: Upcasters = UPCASTERS): Event {
  const current = steps.length + 1;
  // 0: not said, as in events made by hand.
  const version = event.schemaVersion || current;
  if (version === current) return event;
  if (version > current) {
    throw new StemmaError('log', 'UNSUPPORTED', `event ${event.id} of ${event.stream} has schema version ${version}; this version reads up to ${current}`,
      'A newer version wrote this run: read it with that version.');
  }
  const stepped = steps.slice(version - 1).reduce((old, step) => step(old), event);
  return { ...stepped, schemaVersion: current };
}
