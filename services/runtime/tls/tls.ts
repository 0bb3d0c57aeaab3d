/**
 * The certificates of a running process. Their files are looked at every two seconds, which finds any way of replacing them, also that
 * of mounted Secrets. New ones hold for connections made from then on; what cannot be used leaves the old ones in use, and is said.
 */
import { statSync } from 'node:fs';
import { StemmaError } from '../../../core/errors.js';
import type { Logger } from '../logger.js';
import type { TlsFiles } from '../security-settings.js';
import { readTlsMaterial, type TlsMaterial } from './material.js';

export interface Tls {
  current(): TlsMaterial;
  /** Files that were refused since the start, counted once a change. */
  refusals(): number;
  /** Called with each that replaces the current. Returns what ends it. */
  onChange(listener: (material: TlsMaterial) => void): () => void;
  /** Looks at the files now. */
  look(): void;
  close(): void;
}

export interface TlsOptions {
  readonly logger?: Pick<Logger, 'info' | 'error'>;
  /** What is missing in it for this process; '': nothing. */
  readonly lacks?: (material: TlsMaterial) => string;
  readonly everyMs?: number;
}

const LOOK_EVERY_MS = 2_000;

/** INVALID where the files cannot be used at the start. */
export function openTls(files: TlsFiles, options: TlsOptions = {}): Tls {
  return new WatchedTls(files, options);
}

/** What never changes: whoever learns of a change opens another. */
export function fixedTls(material: TlsMaterial): Tls {
  return { current: () => material, refusals: () => 0, onChange: () => () => undefined, look: () => undefined, close: () => undefined };
}

class WatchedTls implements Tls {
  private material: TlsMaterial;
  /** Of the files as `material` has them, or as they were refused. */
  private version: string;
  private refused = 0;
  private problem = '';
  private readonly listeners = new Set<(material: TlsMaterial) => void>();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly files: TlsFiles, private readonly options: TlsOptions) {
    this.version = versionOf(files);
    this.material = this.read();
    this.timer = setInterval(() => this.look(), options.everyMs ?? LOOK_EVERY_MS).unref();
  }

  current(): TlsMaterial {
    return this.material;
  }

  refusals(): number {
    return this.refused;
  }

  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  look(): void {
    const version = versionOf(this.files);
    // One that is refused is read again: the time may come from which it holds.
    if (version === this.version && this.problem === '') return;
    const isNew = version !== this.version;
    this.version = version;
    try {
      this.material = this.read();
    } catch (error) {
      this.refuse(error as Error, isNew);
      return;
    }
    this.problem = '';
    this.options.logger?.info({ expires: this.expires() }, 'new certificates are in use');
    for (const listener of this.listeners) listener(this.material);
  }

  close(): void {
    clearInterval(this.timer);
    this.listeners.clear();
  }

  private read(): TlsMaterial {
    const material = readTlsMaterial(this.files, Date.now());
    const lacks = this.options.lacks?.(material) ?? '';
    if (lacks !== '') throw lacking(this.files, lacks);
    return material;
  }

  private refuse(error: Error, isNew: boolean): void {
    if (isNew) this.refused += 1;
    if (isNew || error.message !== this.problem) {
      this.options.logger?.error({ err: error, expires: this.expires() }, 'new certificate files cannot be used: going on with the old ones');
    }
    this.problem = error.message;
  }

  private expires(): string {
    const { identity } = this.material;
    return identity === null ? '' : new Date(identity.notAfterMs).toISOString();
  }
}

function versionOf({ certFile, keyFile, caFile }: TlsFiles): string {
  return [certFile, keyFile, caFile].map((file) => {
    const stat = file === '' ? undefined : statSync(file, { throwIfNoEntry: false, bigint: true });
    return stat === undefined ? '' : `${stat.ino}/${stat.mtimeNs}/${stat.size}`;
  }).join(' ');
}

function lacking({ certFile }: TlsFiles, lacks: string): StemmaError {
  return new StemmaError('setup', 'INVALID', `${certFile}: ${lacks}`, 'Have a certificate made that says so; docs/access.md shows how.');
}
