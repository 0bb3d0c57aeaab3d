/**
 * The Temporal dev server as a supervised child: tuned, on ports that stay the same for life, gone when we are gone.
 * Its database holds nothing but Temporal's history: deleting it loses no fact of a run (docs/decisions/temporal-decides-when.md).
 */
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Connection } from '@temporalio/client';
import { StemmaError } from '../../core/errors.js';
import { superviseChild, type ChildExit } from './child-process.js';
import { freePort } from './free-port.js';

export interface TemporalSpec {
  /** The `temporal` command line program, 1.5 or newer. */
  readonly executable: string;
  readonly databaseFile: string;
  /** Everything it prints is appended here. */
  readonly logFile: string;
  /** 0 or absent: any free one. */
  readonly port?: number;
  readonly uiPort?: number;
  readonly readyTimeoutMs?: number;
  /** Each end of it that was not asked for. */
  readonly onDeath?: (exit: ChildExit) => void;
}

export interface TemporalProcess {
  /** host:port of the gRPC endpoint, the same for life. */
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string;
  pid(): number;
  /** Called each time it serves again after it had ended. */
  onRestart(listener: () => void): void;
  stop(): Promise<void>;
  readonly exited: Promise<ChildExit>;
}

const HOST = '127.0.0.1';
/** The one that a development server comes with. */
export const NAMESPACE = 'default';

/** Of the workflows (workflows/attributes.ts). */
export const SEARCH_ATTRIBUTES = ['StemmaRecipe', 'StemmaStage', 'StemmaDomain', 'StemmaStatus'] as const;

/** Its one history shard is capped at 20 dispatches a second by default: a sequential activity takes 100 ms, with these a fifth. */
const TUNED = [
  'history.transferProcessorMaxPollRPS=2000', 'history.transferProcessorMaxPollHostRPS=2000', 'history.timerProcessorMaxPollRPS=2000',
] as const;

/**
 * The default is a rollback journal and a sync at each commit: 80 ms a sequential activity on a busy machine, with these 20.
 * A killed process loses nothing; after a power cut the last commits may be gone, which the log makes good.
 */
const SQLITE_PRAGMAS = ['journal_mode=WAL', 'synchronous=NORMAL'] as const;

/** Resolves once it serves. CORRUPT for a database that is none, LOCKED for a port in use, UNAVAILABLE with its last lines otherwise. */
export async function startTemporal(spec: TemporalSpec): Promise<TemporalProcess> {
  mkdirSync(dirname(spec.databaseFile), { recursive: true });
  mkdirSync(dirname(spec.logFile), { recursive: true });
  await assertDatabase(spec.databaseFile);
  const port = await freePort(spec.port ?? 0, 'STEMMA_TEMPORAL_PORT', 'temporal');
  const uiPort = await freePort(spec.uiPort ?? 0, 'STEMMA_TEMPORAL_UI_PORT', 'temporal');
  const address = `${HOST}:${port}`;
  const child = await superviseChild({
    name: 'temporal',
    boundary: 'temporal',
    command: spec.executable,
    args: commandLine(spec.databaseFile, port, uiPort),
    ready: { probe: () => serves(address) },
    readyTimeoutMs: spec.readyTimeoutMs ?? 60_000,
    restart: true,
    onDeath: spec.onDeath,
    logFile: spec.logFile,
  }).catch((error: unknown) => {
    throw explained(error, spec);
  });
  return {
    address, namespace: NAMESPACE, uiUrl: `http://${HOST}:${uiPort}`,
    pid: () => child.pid(),
    onRestart: (listener) => child.onRestart(listener),
    stop: () => child.stop(),
    exited: child.exited,
  };
}

function commandLine(databaseFile: string, port: number, uiPort: number): string[] {
  return [
    'server', 'start-dev', '--ip', HOST, '--port', String(port), '--ui-port', String(uiPort),
    '--db-filename', databaseFile, '--log-level', 'warn', '--log-format', 'json', '--color', 'never',
    ...SQLITE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma]),
    ...TUNED.flatMap((setting) => ['--dynamic-config-value', setting]),
    ...SEARCH_ATTRIBUTES.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
  ];
}

/** Up means: the namespace answers and knows the search attributes; workflows that upsert unknown ones would hang. */
async function serves(address: string): Promise<boolean> {
  const connection = Connection.lazy({ address, connectTimeout: '1 second' });
  try {
    const { customAttributes } = await connection.withDeadline(Date.now() + 2000, () => connection.operatorService.listSearchAttributes({ namespace: NAMESPACE }));
    return SEARCH_ATTRIBUTES.every((name) => customAttributes?.[name] !== undefined);
  } finally {
    await connection.close();
  }
}

const SQLITE_MAGIC = 'SQLite format 3\0';

/** A missing or empty file is a new database. */
async function assertDatabase(file: string): Promise<void> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new StemmaError('temporal', 'UNAVAILABLE', `Temporal's database ${file} cannot be read: ${error.message}`, 'Make the file readable, or delete it.', error);
  });
  if (!handle) return;
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(SQLITE_MAGIC.length), 0, SQLITE_MAGIC.length, 0).finally(() => handle.close());
  if (bytesRead > 0 && buffer.toString('latin1') !== SQLITE_MAGIC) throw corrupt(file);
}

function corrupt(file: string, cause?: unknown): StemmaError {
  return new StemmaError('temporal', 'CORRUPT', `${file} is not a database of Temporal, or is damaged`,
    `Delete it (and ${file}-wal, ${file}-shm) and start again: it holds only Temporal's history, runs go on from their own log.`, cause);
}

function explained(error: unknown, spec: TemporalSpec): unknown {
  if (!(error instanceof StemmaError)) return error;
  if (/not a database|malformed|disk image|no such table|schema version/i.test(error.message)) return corrupt(spec.databaseFile, error);
  if (/not found|permission denied|exec format/i.test(error.message)) {
    return new StemmaError('temporal', 'NOT_FOUND', `the Temporal server cannot be started: ${spec.executable}`, 'Run `npm run setup`, or set STEMMA_TEMPORAL to the temporal program.', error);
  }
  return error;
}
