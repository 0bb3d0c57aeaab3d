/**
 * The main thread's side of the writer: appends wait while a commit is in flight, and all that wait go into the next one.
 * Under load the next one is sent before it is asked for.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { StemmaError } from '../../../core/errors.js';
import type { Event } from '../../../proto/gen/stemma/v1/events.js';
import { packageRoot } from '../../runtime/package-root.js';
import { encodeAppend, groupOf, type EncodedAppend } from './embedded-group.js';
import { KnownEnds } from './known-ends.js';
import { fromWire, type Committed, type FromWriter, type ToWriter, type WriterOptions } from './embedded-protocol.js';

/** Bounds one commit's time and memory. */
const MAX_GROUP_BYTES = 8 * 1024 * 1024;
/** So much waiting is sent behind the group that is being committed: the thread goes on without asking for it. Less waits for company. */
const SEND_AHEAD_BYTES = 512 * 1024;
const GROUPS_IN_FLIGHT = 2;
const ID_HEX = /^[0-9a-f]{32}$/;

interface Append extends EncodedAppend {
  /** Of its bytes, which are given away when it is sent. */
  readonly size: number;
  readonly resolve: (positions: readonly number[]) => void;
  readonly reject: (error: StemmaError) => void;
}

export interface LogWriter {
  /** Where each stands in its stream. */
  append(events: readonly Event[]): Promise<readonly number[]>;
  /** undefined where it is not known without a read. */
  endOf(stream: string): number | undefined;
  /** Commits what is queued, then lets go of the file and its lock. */
  close(): Promise<void>;
}

/** LOCKED, CORRUPT, DISK_FULL, INVALID or UNSUPPORTED where the file cannot be written. */
export async function startWriter(options: WriterOptions, onCommit: () => void): Promise<LogWriter> {
  const worker = new Worker(workerFile(), { workerData: options, name: `log ${options.run}` });
  await ready(worker);
  return new GroupCommit(worker, options, onCommit);
}

/** Beside this file when compiled; from source (tests) the compiled one, for a thread gets no TypeScript loader. */
function workerFile(): URL {
  const beside = new URL('./embedded-worker.js', import.meta.url);
  if (existsSync(fileURLToPath(beside))) return beside;
  const compiled = join(packageRoot(), 'dist', 'services', 'adapters', 'log', 'embedded-worker.js');
  if (!existsSync(compiled)) throw new StemmaError('setup', 'NOT_FOUND', `${compiled} is missing`, 'Compile first: npm run build.');
  return pathToFileURL(compiled);
}

function ready(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', (error) => reject(died(error.message)));
    worker.once('exit', (code) => reject(died(`exit code ${code}`)));
    worker.once('message', (message: FromWriter) => {
      worker.removeAllListeners('error').removeAllListeners('exit');
      if (message.kind === 'refused') reject(fromWire(message.error));
      else resolve();
    });
  });
}

function died(why: string): StemmaError {
  return new StemmaError('log', 'UNAVAILABLE', `the log's writer thread died: ${why}`, 'Start this process again; acknowledged events are safe.');
}

class GroupCommit implements LogWriter {
  private queue: Append[] = [];
  private queuedBytes = 0;
  /** Groups in the order in which they were sent, which is that of their answers. */
  private inFlight: (readonly Append[])[] = [];
  private readonly ends = new KnownEnds();
  private failure: StemmaError | null = null;
  private closing: Promise<void> | null = null;
  private drained: () => void = () => undefined;

  constructor(private readonly worker: Worker, private readonly options: WriterOptions, private readonly onCommit: () => void) {
    worker.on('message', (message: FromWriter) => this.onMessage(message));
    worker.on('error', (error) => this.fail(died(error.message)));
    worker.on('exit', (code) => this.fail(died(`exit code ${code}`)));
    worker.unref();
  }

  append(events: readonly Event[]): Promise<readonly number[]> {
    const refusal = this.failure ?? (this.closing ? closed(this.options.run) : null);
    if (refusal) return Promise.reject(refusal);
    if (events.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      for (const { id } of events) {
        if (!ID_HEX.test(id)) throw new StemmaError('log', 'INVALID', `"${id}" is no event id`, 'Ids are 32 hex digits (eventId).');
      }
      const encoded = encodeAppend(events);
      const size = encoded.bytes.length;
      this.queue.push({ ...encoded, size, resolve, reject });
      this.queuedBytes += size;
      this.send();
    });
  }

  endOf(stream: string): number | undefined {
    // With the thread its lock may have gone to another writer.
    return this.failure ? undefined : this.ends.of(stream);
  }

  close(): Promise<void> {
    this.closing ??= this.drain();
    return this.closing;
  }

  private async drain(): Promise<void> {
    if (this.failure) return;
    if (this.inFlight.length > 0) await new Promise<void>((resolve) => { this.drained = resolve; });
    if (this.failure) return;
    const exited = new Promise((resolve) => this.worker.once('exit', resolve));
    this.worker.ref();
    this.worker.postMessage({ kind: 'close' } satisfies ToWriter);
    await exited;
  }

  private send(): void {
    while (this.mayGo()) {
      const appends = this.takeGroup();
      this.inFlight.push(appends);
      const group = groupOf(appends);
      // Alive while something is owed; otherwise the thread does not keep the process from ending.
      this.worker.ref();
      this.worker.postMessage(group, [group.bytes.buffer as ArrayBuffer]);
    }
  }

  private mayGo(): boolean {
    if (this.queue.length === 0) return false;
    return this.inFlight.length === 0 || (this.inFlight.length < GROUPS_IN_FLIGHT && this.queuedBytes >= SEND_AHEAD_BYTES);
  }

  private takeGroup(): Append[] {
    let size = 0;
    const over = this.queue.findIndex((append, index) => {
      size += append.size;
      return index > 0 && size > MAX_GROUP_BYTES;
    });
    const taken = this.queue.splice(0, over === -1 ? this.queue.length : over);
    for (const append of taken) this.queuedBytes -= append.size;
    return taken;
  }

  private onMessage(message: FromWriter): void {
    if (message.kind !== 'committed') return;
    const done = this.inFlight.shift() ?? [];
    this.send();
    if (this.inFlight.length === 0) {
      this.worker.unref();
      this.drained();
    }
    settle(done, message, this.ends);
    this.onCommit();
  }

  private fail(error: StemmaError): void {
    this.failure ??= this.closing ? closed(this.options.run) : error;
    const lost = [...this.inFlight.flat(), ...this.queue];
    this.inFlight = [];
    this.queue = [];
    this.queuedBytes = 0;
    for (const append of lost) append.reject(this.failure);
    this.drained();
  }
}

function settle(appends: readonly Append[], { results, positions }: Committed, ends: KnownEnds): void {
  let from = 0;
  appends.forEach(({ events, resolve, reject }, index) => {
    const error = results[index];
    const to = from + events.length;
    if (error) {
      reject(fromWire(error));
    } else {
      const own = Array.from(positions.subarray(from, to));
      own.forEach((position, at) => ends.note(events[at]!.stream, position));
      resolve(own);
    }
    from = to;
  });
}

function closed(run: string): StemmaError {
  return new StemmaError('log', 'UNAVAILABLE', `the log of run ${run} is closed`, 'Open it again.');
}
