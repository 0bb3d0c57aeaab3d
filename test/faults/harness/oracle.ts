/** The oracle's file: what was attempted and what was acknowledged, written outside the system that is tested. */
import { appendFileSync, closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface AttemptedLine {
  readonly line: 'attempted';
  readonly id: string;
  readonly stream: string;
  /** Payload case and natural key of the fact. */
  readonly type: string;
  readonly key: string;
  /** Of the payload's bytes. */
  readonly digest: string;
}

export interface SampledLine {
  readonly line: 'sampled';
  readonly seed: string;
  /** Before what was sampled. */
  readonly tokens: number;
}

export type OracleLine =
  | AttemptedLine
  | SampledLine
  | { readonly line: 'acknowledged'; readonly id: string; readonly digest: string }
  | { readonly line: 'task delivered twice'; readonly key: string }
  | { readonly line: 'event delivered twice' | 'append delivered again'; readonly id: string }
  /** Written by the harness when a fault is injected. */
  | { readonly line: 'fault'; readonly fault: string };

/** What the system's processes write names the process. */
type WrittenLine = OracleLine & { readonly pid?: number };

export function markFault(file: string, fault: string): void {
  appendFileSync(file, `${JSON.stringify({ line: 'fault', fault })}\n`);
}

/** What makes a fact one fact in every run of the same recipe and seed. */
export function factName({ stream, type, key }: Pick<AttemptedLine, 'stream' | 'type' | 'key'>): string {
  return `${stream} ${type} ${key}`;
}

const LOOK_EVERY_MS = 25;
const CHUNK_BYTES = 1 << 20;

/** Follows the file as it grows. */
export class OracleReader {
  readonly lines: WrittenLine[] = [];
  readonly acknowledged = new Set<string>();
  private readonly names = new Map<string, string>();
  private readonly factNames = new Set<string>();
  private readBytes = 0;
  private rest = '';

  constructor(readonly file: string) {}

  /** Names of facts acknowledged so far. */
  facts(): ReadonlySet<string> {
    this.read();
    return this.factNames;
  }

  /** Resolves when the fact has been acknowledged; rejects when `until` aborts first. */
  async whenAcknowledged(fact: string, until: AbortSignal): Promise<void> {
    while (!this.facts().has(fact)) {
      until.throwIfAborted();
      await delay(LOOK_EVERY_MS);
    }
  }

  /** Resolves when more than `count` facts have been acknowledged. */
  async whenMoreThan(count: number, until: AbortSignal): Promise<void> {
    while (this.facts().size <= count) {
      until.throwIfAborted();
      await delay(LOOK_EVERY_MS);
    }
  }

  /** Appends of a process that nobody has answered yet. */
  unanswered(pid: number): readonly AttemptedLine[] {
    return this.read().flatMap((each) => (each.line === 'attempted' && each.pid === pid && !this.acknowledged.has(each.id) ? [each] : []));
  }

  read(): readonly WrittenLine[] {
    if (!existsSync(this.file)) return this.lines;
    const file = openSync(this.file, 'r');
    try {
      const size = fstatSync(file).size;
      while (this.readBytes < size) {
        const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - this.readBytes));
        const got = readSync(file, chunk, 0, chunk.length, this.readBytes);
        this.readBytes += got;
        this.take(chunk.subarray(0, got).toString('utf8'));
      }
    } finally {
      closeSync(file);
    }
    return this.lines;
  }

  private take(text: string): void {
    const parts = (this.rest + text).split('\n');
    this.rest = parts.pop() ?? '';
    for (const part of parts) this.add(JSON.parse(part) as WrittenLine);
  }

  private add(line: WrittenLine): void {
    this.lines.push(line);
    if (line.line === 'attempted') this.names.set(line.id, factName(line));
    if (line.line !== 'acknowledged') return;
    this.acknowledged.add(line.id);
    const name = this.names.get(line.id);
    // Claims have fresh ids: no two runs share them.
    if (name !== undefined && !name.includes(' claimed ')) this.factNames.add(name);
  }
}
