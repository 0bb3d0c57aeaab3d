/**
 * The compute sidecar (kernels/sidecar) as a supervised child: it ends with us, and when it dies it comes back on the
 * same port, so that adapters keep their address. It comes back empty: callers load weights and restore states again.
 */
import { StemmaError } from '../../core/errors.js';
import { superviseChild, type ChildExit } from './child-process.js';
import type { TlsFiles } from './security-settings.js';

export interface SidecarSpec {
  /** The interpreter whose packages include torch, transformers and grpcio. */
  readonly python: string;
  /** Where `python -m sidecar` finds the sidecar package. */
  readonly kernelsDirectory: string;
  /** As STEMMA_BLOBS has it; a bucket's credentials come from the environment, as ours do. */
  readonly blobs: string;
  /** Torch threads: part of the fingerprint, because sums depend on it. */
  readonly threads: number;
  readonly device?: 'cpu' | 'cuda' | 'auto';
  /** Absent: plain text. */
  readonly tls?: SidecarTls;
  /** The directory below which it may export; without it nowhere. */
  readonly exports?: string;
  /** Everything it prints is appended here. */
  readonly logFile?: string;
  /** Importing torch takes seconds on a cold disk. */
  readonly readyTimeoutMs?: number;
}

/** It reads these files anew for each connection, and serves whoever's certificate has one of the names. */
export interface SidecarTls {
  readonly files: TlsFiles;
  /** As in a subjectAltName, without what kind of name it is. */
  readonly callers: readonly string[];
}

export interface SidecarProcess {
  /** 127.0.0.1:port, the same for life. */
  readonly address: string;
  /** JSON: device, dtype, torch version, threads. */
  readonly fingerprintJson: string;
  pid(): number;
  /** Called each time it is ready again after it had ended. */
  onRestart(listener: () => void): void;
  stop(): Promise<void>;
  readonly exited: Promise<ChildExit>;
}

interface ReadyLine {
  readonly port: number;
  readonly fingerprint: unknown;
}

/** Resolves once it serves. UNAVAILABLE with its last lines if it ends first, TIMEOUT if it takes too long. */
export async function startSidecar(spec: SidecarSpec): Promise<SidecarProcess> {
  let ready: ReadyLine | undefined;
  const child = await superviseChild({
    name: 'sidecar',
    boundary: 'setup',
    command: spec.python,
    args: () => [
      '-u', '-m', 'sidecar', '--blobs', spec.blobs, '--port', String(ready?.port ?? 0), '--threads', String(spec.threads),
      ...(spec.device === undefined ? [] : ['--device', spec.device]), ...(spec.tls === undefined ? [] : tlsArguments(spec.tls)),
      ...(spec.exports === undefined ? [] : ['--exports', spec.exports]),
    ],
    cwd: spec.kernelsDirectory,
    ready: {
      line(line) {
        const parsed = readyLine(line);
        ready ??= parsed;
        return parsed !== undefined;
      },
    },
    readyTimeoutMs: spec.readyTimeoutMs ?? 180_000,
    restart: true,
    logFile: spec.logFile,
  });
  if (ready === undefined) throw new StemmaError('setup', 'UNAVAILABLE', 'the sidecar named no port', 'Set up again: the sidecar and this program differ in version.');
  return {
    address: `127.0.0.1:${ready.port}`,
    fingerprintJson: JSON.stringify(ready.fingerprint ?? {}),
    pid: () => child.pid(),
    onRestart: (listener) => child.onRestart(listener),
    stop: () => child.stop(),
    exited: child.exited,
  };
}

function tlsArguments({ files, callers }: SidecarTls): string[] {
  return ['--tls-cert', files.certFile, '--tls-key', files.keyFile, '--tls-ca', files.caFile, ...callers.flatMap((name) => ['--tls-caller', name])];
}

/** For a process that has lost its sidecar: it can no longer do its work. */
export function sidecarEnded({ code, signal, lastLines }: ChildExit): StemmaError {
  return new StemmaError('setup', 'UNAVAILABLE', `the sidecar ended for good (${signal ?? `exit code ${code}`}); it never became ready again. Its last lines:\n${lastLines.join('\n')}`,
    'Correct what they say, then start the service again; a supervisor does so by itself.');
}

function readyLine(line: string): ReadyLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const parsed = JSON.parse(line) as { ready?: unknown; port?: unknown; fingerprint?: unknown };
    return parsed.ready === true && typeof parsed.port === 'number' ? { port: parsed.port, fingerprint: parsed.fingerprint } : undefined;
  } catch {
    return undefined;
  }
}
