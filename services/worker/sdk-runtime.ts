/**
 * Temporal's SDK in this process: its log lines and its metrics. Its runtime serves its metrics itself, on a loopback port that
 * nobody else needs to know: /metrics of the process holds them too, so that one address is scraped and guarded.
 */
import { Runtime, makeTelemetryFilterString, type LogLevel, type LogMetadata } from '@temporalio/worker';
import { freePorts } from '../runtime/free-port.js';

export type OnSdkLog = (level: LogLevel, message: string, fields: LogMetadata | undefined) => void;

/** A scrape that waits longer than this is late itself. */
const ANSWER_WITHIN_MS = 2000;

let installed: Promise<string> | undefined;

/** Once a process: the SDK's runtime is global. Signals are ours (services/runtime/shutdown.ts), not the SDK's. */
export async function installRuntime(onLog: OnSdkLog | undefined): Promise<void> {
  await (installed ??= install(onLog));
}

/** The SDK's own page, as text; empty before the runtime is there, or where it does not answer: our own figures do not wait for it. */
export async function sdkMetrics(): Promise<string> {
  if (installed === undefined) return '';
  return fetch(`http://${await installed}/metrics`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }).then((response) => response.text(), () => '');
}

async function install(onLog: OnSdkLog | undefined): Promise<string> {
  const say = onLog ?? ((level, message) => void process.stderr.write(`temporal ${level}: ${message}\n`));
  const log = (level: LogLevel, message: string, fields?: LogMetadata): void => {
    // Of queues that host activities only: as intended.
    if (message.startsWith('No workflows registered')) return;
    if (onLog !== undefined || level === 'WARN' || level === 'ERROR') say(level, message, fields);
  };
  const [port] = await freePorts(1);
  const bindAddress = `127.0.0.1:${port}`;
  Runtime.install({
    shutdownSignals: [],
    logger: {
      log,
      trace: (message, fields) => log('TRACE', message, fields),
      debug: (message, fields) => log('DEBUG', message, fields),
      info: (message, fields) => log('INFO', message, fields),
      warn: (message, fields) => log('WARN', message, fields),
      error: (message, fields) => log('ERROR', message, fields),
    },
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) },
      metrics: { prometheus: { bindAddress, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true } },
    },
  });
  return bindAddress;
}
