import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import pino from 'pino';
import type { Logger } from 'pino';
import type { LogLevel } from './config.js';

export type { Logger };

export interface LoggerSpec {
  readonly service: string;
  readonly level: LogLevel;
  /** '' is stderr: stdout belongs to what a command prints. */
  readonly file: string;
}

/** What a log line is about; bound once, on every line after. */
export interface LogBindings {
  readonly run?: string;
  readonly stage?: string;
  readonly episode?: string;
}

/** JSON lines: {"level":"info","time":"…","service":"learner","run":"…","msg":"…"}. Written synchronously: a crash loses none. */
export function createLogger(spec: LoggerSpec): Logger {
  if (spec.file !== '') mkdirSync(dirname(spec.file), { recursive: true });
  const destination = pino.destination(spec.file === '' ? { fd: 2, sync: true } : { dest: spec.file, append: true, sync: true });
  // A disk that is full must not end the run for a log line.
  destination.on('error', () => undefined);
  return pino({
    level: spec.level,
    base: { service: spec.service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: pino.stdSerializers.errWithCause },
  }, destination);
}

/** A logger whose lines carry run, stage and episode. */
export function bindLogger(logger: Logger, bindings: LogBindings): Logger {
  return logger.child(bindings);
}
