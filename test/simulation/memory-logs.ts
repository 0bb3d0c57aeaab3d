/**
 * Logs in memory that keep the contract of EventLog (test/contract/event-log.memory.test.ts), at once and without I/O:
 * what a simulation, or a benchmark of everything above the log, stands on.
 */
import { isDeepStrictEqual } from 'node:util';
import { StemmaError } from '../../core/errors.js';
import type { RunLogs, StopSignal, StoredEvent, TailBatch } from '../../core/ports.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';

const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const TAIL_EVENTS = 1_000;

/** What is durable of one run. */
export class MemoryStore {
  readonly streams = new Map<string, StoredEvent[]>();
  private readonly ids = new Map<string, Event>();
  /** In order of commit. */
  private readonly commits: StoredEvent[] = [];
  private readonly waiting = new Set<() => void>();

  /** `keepsDuplicates`: keeps what it is sent, as a partition of a broker does; only the fold then drops it. */
  constructor(readonly keepsDuplicates = false) {}

  /** The whole append or, where an id is there with another payload (HASH_MISMATCH), nothing of it. Where each stands. */
  land(events: readonly Event[]): number[] {
    if (!this.keepsDuplicates) for (const event of events) this.refuseAltered(event);
    const positions = events.map((event) => {
      const known = this.ids.has(event.id);
      const stream = this.streams.get(event.stream) ?? [];
      if (known && !this.keepsDuplicates) return stream.findIndex(({ event: { id } }) => id === event.id);
      if (!known) this.ids.set(event.id, event);
      if (stream.length === 0) this.streams.set(event.stream, stream);
      const stored = { position: stream.length, event };
      stream.push(stored);
      this.commits.push(stored);
      return stored.position;
    });
    this.wake();
    return positions;
  }

  has(id: string): boolean {
    return this.ids.has(id);
  }

  read(stream: string, from: number): StoredEvent[] {
    return (this.streams.get(stream) ?? []).slice(from);
  }

  /** As after a power cut that the disk had not been told to prepare for. */
  lose(lost: ReadonlySet<Event>): void {
    if (lost.size === 0) return;
    const kept = this.commits.filter(({ event }) => !lost.has(event));
    this.commits.length = 0;
    this.streams.clear();
    this.ids.clear();
    this.land(kept.map(({ event }) => event));
  }

  all(): readonly StoredEvent[] {
    return this.commits;
  }

  changed(): Promise<void> {
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }

  copy(keepsDuplicates: boolean): MemoryStore {
    const copy = new MemoryStore(keepsDuplicates);
    copy.land(this.commits.map(({ event }) => event));
    return copy;
  }

  private refuseAltered(event: Event): void {
    const known = this.ids.get(event.id);
    if (known === undefined || isDeepStrictEqual(known.payload, event.payload)) return;
    throw new StemmaError('log', 'HASH_MISMATCH', `event ${event.id} is in ${event.stream} with another payload`, 'One key names one fact.');
  }
}

export type MemoryRuns = Map<string, MemoryStore>;

/** `runs` outlives what is opened here, as a disk does. */
export function openMemoryLogs(runs: MemoryRuns): RunLogs & { close(): Promise<void> } {
  const open: MemoryLog[] = [];
  return {
    async open(run, mode) {
      if (!RUN_ID.test(run)) throw new StemmaError('log', 'INVALID', `"${run}" cannot be a run id`, 'Use letters, digits, dot, dash and underscore.');
      if (mode === 'read' && !runs.has(run)) throw new StemmaError('log', 'NOT_FOUND', `there is no run ${run}`, 'List the runs.');
      const store = runs.get(run) ?? new MemoryStore();
      runs.set(run, store);
      const log = new MemoryLog(store, mode === 'write');
      open.push(log);
      return {
        append: (events) => log.append(events), readStream: (stream, from) => log.readStream(stream, from),
        tail: (cursor, signal) => log.tail(cursor, signal), close: () => log.close(),
      };
    },
    list: () => Promise.resolve([...runs.keys()].reverse()),
    close: async () => void await Promise.all(open.map((log) => log.close())),
  };
}

class MemoryLog {
  private closed = false;

  constructor(private readonly store: MemoryStore, private readonly writes: boolean) {}

  async append(events: readonly Event[]): Promise<readonly number[]> {
    if (!this.writes) throw new StemmaError('log', 'INVALID', 'the log was opened for reading', 'Open the run for writing.');
    return this.store.land(events);
  }

  readStream(stream: string, fromPosition = 0): Promise<readonly StoredEvent[]> {
    return Promise.resolve(this.store.read(stream, fromPosition));
  }

  async *tail(cursor: string, signal: StopSignal): AsyncIterable<TailBatch> {
    if (!/^\d*$/.test(cursor)) throw new StemmaError('log', 'INVALID', `"${cursor}" is no cursor of this log`, 'Resume from one that this log gave.');
    let after = Number(cursor);
    signal.addEventListener('abort', () => this.store.wake());
    while (!signal.aborted && !this.closed) {
      const events = this.store.all().slice(after, after + TAIL_EVENTS);
      after += events.length;
      if (events.length > 0) yield { events, cursor: String(after) };
      else await this.store.changed();
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    this.store.wake();
  }
}
