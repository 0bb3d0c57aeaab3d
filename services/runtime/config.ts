/**
 * The only reader of process.env: parsed once at an entry point into a frozen, validated object and passed down.
 * All problems are reported at once. Imports nothing heavy: a command must start in milliseconds.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import { packageRoot } from './package-root.js';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Config {
  readonly packageRoot: string;
  /** Logs, blobs, Temporal's database, reports: everything a run leaves behind. Absolute. */
  readonly home: string;
  readonly logLevel: LogLevel;
  /** JSON lines go here; '' is stderr. Absolute. */
  readonly logFile: string;
  /** Torch threads: part of what makes a run repeatable bit for bit. */
  readonly threads: number;
  readonly device: 'cpu' | 'cuda';
  /** 0: any free port, printed at start. All listen on loopback. */
  readonly ports: { readonly gateway: number; readonly metrics: number; readonly temporal: number; readonly temporalUi: number };
  /** Executables that set-up found or built; '' where set-up has not run. */
  readonly tools: { readonly python: string; readonly temporal: string };
}

type Environment = { readonly [name: string]: string | undefined };

class Reader {
  readonly problems: string[] = [];

  constructor(private readonly environment: Environment) {}

  text(name: string, fallback: string): string {
    const value = this.environment[name];
    return value === undefined || value === '' ? fallback : value;
  }

  integer(name: string, fallback: number, low: number, high: number): number {
    const value = this.text(name, String(fallback));
    const parsed = Number(value);
    if (/^\d+$/.test(value) && parsed >= low && parsed <= high) return parsed;
    this.problems.push(`${name}: expected an integer from ${low} to ${high}, got '${value}'`);
    return fallback;
  }

  choice<T extends string>(name: string, fallback: T, choices: readonly T[]): T {
    const value = this.text(name, fallback);
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    this.problems.push(`${name}: expected one of ${choices.join(', ')}, got '${value}'`);
    return fallback;
  }

  refuseUnknown(known: readonly string[]): void {
    for (const name of Object.keys(this.environment)) {
      if (name.startsWith('STEMMA_') && !name.startsWith(TESTS_OWN) && !known.includes(name)) this.problems.push(`${name}: unknown setting; known: ${known.join(', ')}`);
    }
  }
}

/** Variables that only tests read. */
const TESTS_OWN = 'STEMMA_TEST_';

const KNOWN = [
  'STEMMA_HOME', 'STEMMA_LOG_LEVEL', 'STEMMA_LOG_FILE', 'STEMMA_THREADS', 'STEMMA_DEVICE', 'STEMMA_GATEWAY_PORT', 'STEMMA_METRICS_PORT',
  'STEMMA_TEMPORAL_PORT', 'STEMMA_TEMPORAL_UI_PORT', 'STEMMA_TOOLCHAIN', 'STEMMA_PYTHON', 'STEMMA_TEMPORAL',
];

/** What set-up wrote: paths of the tools it found or built. A missing file is a set-up that has not run. */
function readToolchain(file: string, problems: string[]): { python: string; temporal: string } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT') problems.push(`${file}: cannot be read (${code ?? String(error)})`);
    return { python: '', temporal: '' };
  }
  try {
    const parsed = JSON.parse(text) as { python?: unknown; temporal?: unknown } | null;
    const path = (value: unknown): string => (typeof value === 'string' ? value : '');
    return { python: path(parsed?.python), temporal: path(parsed?.temporal) };
  } catch {
    problems.push(`${file}: not JSON; delete it and run \`npm run setup\``);
    return { python: '', temporal: '' };
  }
}

/** Throws one StemmaError('setup', 'INVALID') that lists every problem on a line of its own. */
export function readConfig(environment: Environment = process.env): Config {
  const reader = new Reader(environment);
  const root = packageRoot();
  reader.refuseUnknown(KNOWN);
  const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(root, path));
  const port = (name: string): number => reader.integer(name, 0, 0, 65_535);
  const toolchain = readToolchain(absolute(reader.text('STEMMA_TOOLCHAIN', join('.stemma', 'toolchain.json'))), reader.problems);
  const logFile = reader.text('STEMMA_LOG_FILE', '');
  const config: Config = {
    packageRoot: root,
    home: absolute(reader.text('STEMMA_HOME', '.stemma')),
    logLevel: reader.choice('STEMMA_LOG_LEVEL', 'info', LOG_LEVELS),
    logFile: logFile === '' ? '' : absolute(logFile),
    threads: reader.integer('STEMMA_THREADS', 2, 1, 1024),
    device: reader.choice('STEMMA_DEVICE', 'cpu', ['cpu', 'cuda'] as const),
    ports: Object.freeze({
      gateway: port('STEMMA_GATEWAY_PORT'), metrics: port('STEMMA_METRICS_PORT'),
      temporal: port('STEMMA_TEMPORAL_PORT'), temporalUi: port('STEMMA_TEMPORAL_UI_PORT'),
    }),
    tools: Object.freeze({
      python: reader.text('STEMMA_PYTHON', toolchain.python),
      temporal: reader.text('STEMMA_TEMPORAL', toolchain.temporal),
    }),
  };
  if (reader.problems.length > 0) {
    const title = `${reader.problems.length} problem${reader.problems.length === 1 ? '' : 's'} in the environment's settings`;
    throw new StemmaError('setup', 'INVALID', [title, ...reader.problems.map((problem) => `  ${problem}`)].join('\n'), 'Correct or unset these variables.');
  }
  return Object.freeze(config);
}
