/** Runs that were written by an earlier version and committed (test/golden/record-run.mjs): their events and the blobs they name, but weights and snapshots. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { StemmaError } from '../../core/errors.js';
import type { BlobStore, RunLogs, StoredEvent } from '../../core/ports.js';
import type { RunView } from '../../core/projection/run-view.js';
import { Event } from '../../proto/gen/stemma/v1/events.js';
import type { Manifest } from '../../services/runtime/run-context.js';

const RUNS = join(import.meta.dirname, '../golden/runs');

export const committedRunNames = (): string[] => readdirSync(RUNS).filter((file) => file.endsWith('.events.gz')).map((file) => file.slice(0, -'.events.gz'.length));

export interface CommittedRun {
  /** Stream by stream, each in its order; fresh objects at each call. */
  events(): StoredEvent[];
  readonly blobs: BlobStore & { readonly contents: Map<string, Uint8Array> };
  manifest(view: RunView): Promise<Manifest>;
}

export function committedRun(name: string): CommittedRun {
  const encoded = records(join(RUNS, `${name}.events.gz`));
  const contents = new Map(records(join(RUNS, `${name}.blobs.gz`)).map((bytes) => [sha256(bytes), bytes]));
  const blobs = memoryBlobs(contents);
  return {
    blobs,
    events() {
      const lengths = new Map<string, number>();
      return encoded.map((bytes) => {
        const event = Event.decode(new Uint8Array(bytes));
        const position = lengths.get(event.stream) ?? 0;
        lengths.set(event.stream, position + 1);
        return { position, event };
      });
    },
    async manifest({ run }) {
      if (!run.created?.manifest) throw new Error(`${name} has no manifest`);
      return JSON.parse(new TextDecoder().decode(await blobs.get(run.created.manifest))) as Manifest;
    },
  };
}

/** Verifies as the real stores do. */
export function memoryBlobs(contents: Map<string, Uint8Array>): CommittedRun['blobs'] {
  return {
    contents,
    put(bytes) {
      contents.set(sha256(bytes), bytes);
      return Promise.resolve({ sha256: sha256(bytes), length: BigInt(bytes.length) });
    },
    get(ref) {
      const bytes = contents.get(ref.sha256);
      if (bytes === undefined) return Promise.reject(new StemmaError('blob', 'NOT_FOUND', `blob ${ref.sha256} is missing`, 'Put it back.'));
      if (sha256(bytes) !== ref.sha256) return Promise.reject(new StemmaError('blob', 'CORRUPT', `blob ${ref.sha256} is not the content it is named after`, 'Put a good copy in its place.'));
      return Promise.resolve(bytes);
    },
    has: (ref) => Promise.resolve(contents.has(ref.sha256)),
  };
}

function records(file: string): Uint8Array[] {
  const bytes = gunzipSync(readFileSync(file));
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    found.push(new Uint8Array(bytes.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return found;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The committed run as its log; other runs of these logs start empty. Drops duplicates as real logs do. */
export function memoryLogs(run: string, events: readonly StoredEvent[]): RunLogs {
  const runs = new Map<string, Event[]>([[run, events.map(({ event }) => event)]]);
  return {
    list: () => Promise.resolve([...runs.keys()]),
    open(name) {
      const held = runs.get(name) ?? [];
      runs.set(name, held);
      return Promise.resolve({
        append(added) {
          for (const event of added) if (!held.some(({ id }) => id === event.id)) held.push(event);
          return Promise.resolve();
        },
        readStream: (stream, from = 0) => Promise.resolve(held.filter((event) => event.stream === stream).map((event, position) => ({ position, event })).slice(from)),
        tail() { throw new Error('nobody tails here'); },
        close: () => Promise.resolve(),
      });
    },
  };
}
