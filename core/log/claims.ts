/**
 * Who may write: a role's current claim is its last Claimed in stream order (docs/events.md, "Claims").
 * An event of another claim of that role is a zombie's: it is in the log and changes nothing.
 */
import type { Claimed, Event } from '../../proto/gen/stemma/v1/events.js';
import type { StoredEvent } from '../ports.js';
import { roleOf } from './keys.js';

/** Role → current claim id. */
export type Claims = ReadonlyMap<string, string>;

export function takeClaim(claims: Map<string, string>, claimed: Claimed): void {
  claims.set(claimed.role, claimed.claimId);
}

/** Facts without a role always count; others only under the current claim of their role. */
export function counts(claims: Claims, event: Event): boolean {
  const role = event.payload ? roleOf(event.payload) : null;
  return role === null || claims.get(role) === event.claim;
}

/**
 * The newest claim of `role` among events read later, or null. `isKnown` says which ids were folded before: a copy of an
 * earlier claim that is delivered again takes nothing over.
 */
export function newClaim(stored: readonly StoredEvent[], role: string, isKnown: (id: string) => boolean): Claimed | null {
  let newest: Claimed | null = null;
  for (const { event } of stored) {
    const payload = event.payload;
    if (payload?.$case === 'claimed' && payload.value.role === role && !isKnown(event.id)) newest = payload.value;
  }
  return newest;
}
