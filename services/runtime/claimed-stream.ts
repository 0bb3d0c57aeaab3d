/**
 * Writing under a claim (docs/events.md, "Claims").
 *
 *   append Claimed ─▶ read the stream, own claim included ─▶ fold ─▶ act on the state, record facts
 *
 * Nothing here stops a zombie from writing; the fold makes what it writes count for nothing. So a record that resolved
 * is durable but may be a zombie's: `assertHeld` before an effect that cannot be repeated, and before reporting success.
 */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { StemmaError } from '../../core/errors.js';
import { newClaim } from '../../core/log/claims.js';
import { openFold, type Fold, type OpenFold } from '../../core/log/fold.js';
import { roleOf, type Payload, type Role } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { newEvent } from './new-event.js';
import { readOn } from './record-fact.js';

export interface ClaimSpec {
  readonly stream: string;
  readonly role: Role;
  /** For people: service, host, process id. */
  readonly holder: string;
  readonly run: string;
}

export interface ClaimedStream<S> {
  /** The stream as read when it was claimed, and what this claim recorded since. Other roles' later facts are not in it. */
  readonly state: S;
  readonly claimId: string;
  /** The state, from now on the caller's own: `record` evolves it no more. For who must act on facts before they are durable. */
  release(): S;
  /**
   * Durable when it resolves, and evolved into `state`. Calls take effect one after another. A payload that this claim
   * has recorded is not recorded again (HASH_MISMATCH if altered).
   * After a failed call it is unknown whether its facts are in the log: the next call must bring the same ones (they
   * keep their ids and seqs), or the stream must be claimed anew. CLAIM_LOST once a newer claim has been seen.
   */
  record(...payloads: Payload[]): Promise<void>;
  /** Reads back. When it resolves, all that was recorded before the call counts. CLAIM_LOST if another claim came. */
  assertHeld(): Promise<void>;
}

export async function claimStream<S>(log: EventLog, spec: ClaimSpec, fold: Fold<S>): Promise<ClaimedStream<S>> {
  const [claimed] = await claimStreams(log, [spec], fold);
  return claimed!;
}

/** Many streams with one append. A stream lost again at once shows it at its first call. CORRUPT where a stream has lost facts. */
export async function claimStreams<S>(log: EventLog, specs: readonly ClaimSpec[], fold: Fold<S>): Promise<ClaimedStream<S>[]> {
  const claims = specs.map((spec) => ({ spec, claimId: randomUUID() }));
  await log.append(claims.map(({ spec: { stream, run, role, holder }, claimId }) =>
    newEvent({ stream, run, claim: '', seq: 0 }, { $case: 'claimed', value: { role, claimId, holder } })));
  return Promise.all(claims.map(async ({ spec, claimId }) => {
    const folded = openFold(fold);
    await readOn(log, spec.stream, folded);
    const gap = folded.gaps[0];
    if (gap) {
      throw new StemmaError('log', 'CORRUPT',
        `stream ${spec.stream} has lost facts: event ${gap.eventId} has seq ${gap.foundSeq} where ${gap.expectedSeq} was due`,
        'The log lost acknowledged events: restore it from a copy, or start a new run.');
    }
    return new Claim(log, spec, claimId, folded);
  }));
}

class Claim<S> implements ClaimedStream<S> {
  private nextSeq = 1;
  /** Of the last append if it failed: its facts may be in the log. */
  private inDoubt: readonly Event[] = [];
  /** Holder of the newer claim, once one has been seen. */
  private lostTo: string | null;
  /** Claims before this position have been looked at. */
  private readTo: number;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly log: EventLog, private readonly spec: ClaimSpec,
    readonly claimId: string, private readonly folded: OpenFold<S>,
  ) {
    const current = folded.claims.get(spec.role);
    this.lostTo = current === claimId ? null : `claim ${current ?? '(none)'}`;
    this.readTo = folded.nextPosition;
  }

  get state(): S {
    return this.folded.state;
  }

  release(): S {
    return this.folded.release();
  }

  record(...payloads: Payload[]): Promise<void> {
    return this.afterEarlier(() => this.append(payloads));
  }

  assertHeld(): Promise<void> {
    return this.afterEarlier(async () => {
      this.refuseIfLost();
      const since = await this.log.readStream(this.spec.stream, this.readTo);
      const last = since[since.length - 1];
      const newer = newClaim(since, this.spec.role, (id) => this.folded.has(id));
      if (newer) this.lostTo = newer.holder;
      if (last) this.readTo = last.position + 1;
      this.refuseIfLost();
    });
  }

  private async append(payloads: readonly Payload[]): Promise<void> {
    this.refuseIfLost();
    const events = this.eventsOf(payloads);
    const fresh = events.filter((event) => event.seq > 0);
    this.refuseUnlessRepeated(fresh);
    this.inDoubt = fresh;
    const positions = await this.log.append(events);
    this.inDoubt = [];
    // What stands where reading back would begin is our own, and no claim: it need not be read.
    for (const position of positions ?? []) if (position === this.readTo) this.readTo += 1;
    this.nextSeq += fresh.length;
    for (const event of fresh) this.folded.add(event);
  }

  /** Facts already recorded by this claim get seq 0: the log drops them, or refuses an altered one. */
  private eventsOf(payloads: readonly Payload[]): Event[] {
    const { stream, run, role } = this.spec;
    const known = new Set<string>();
    let seq = this.nextSeq;
    return payloads.map((payload) => {
      if (roleOf(payload) !== role) {
        throw new StemmaError('log', 'INVALID', `${payload.$case} is not written by the role ${role}`, 'Roles and their payloads: docs/events.md.');
      }
      const event = newEvent({ stream, run, claim: this.claimId, seq: 0 }, payload);
      if (known.has(event.id) || this.folded.has(event.id)) return event;
      known.add(event.id);
      event.seq = seq;
      seq += 1;
      return event;
    });
  }

  private refuseUnlessRepeated(fresh: readonly Event[]): void {
    const repeated = this.inDoubt.every((event, index) => isDeepStrictEqual(event.payload, fresh[index]?.payload));
    if (repeated) return;
    throw new StemmaError('log', 'INVALID',
      `an append to ${this.spec.stream} failed and may have landed; other facts cannot follow it`,
      'Record the same facts again, or claim the stream anew.');
  }

  private refuseIfLost(): void {
    if (this.lostTo === null) return;
    throw new StemmaError('log', 'CLAIM_LOST', `${this.spec.holder} lost the role ${this.spec.role} of ${this.spec.stream} to ${this.lostTo}`,
      'Stop this work: the new holder goes on from what counts.');
  }

  private afterEarlier<T>(work: () => Promise<T>): Promise<T> {
    const result = this.queue.then(work);
    // A failure belongs to its own caller.
    this.queue = result.catch(() => undefined);
    return result;
  }
}
