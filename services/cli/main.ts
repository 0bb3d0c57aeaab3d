#!/usr/bin/env node
/** The `stemma` command. Everything it needs of the machine room is loaded when a command first asks for it. */
import { randomUUID } from 'node:crypto';
import { readConfig } from '../runtime/config.js';
import { listenForShutdown } from '../runtime/shutdown.js';
import { runCli } from './run-cli.js';
import { processTerminal } from './terminal.js';

const code = await runCli({
  doors: async () => (await import('../all-in-one/doors.js')).doors,
  terminal: processTerminal(),
  config: (settings) => readConfig(undefined, settings),
  listenForShutdown,
  nowMs: () => performance.now(),
  newId: () => randomUUID(),
  exitNow: (exitCode) => process.exit(exitCode),
}, process.argv.slice(2));

/** For what still holds the process when its work is done, as a thread of native code may. */
const ENDS_WITHIN_MS = 5_000;

// Not process.exit at once: what is still on its way to stdout must arrive in a pipe, however slowly it is read.
process.exitCode = code;
process.stdout.write('', () => process.stderr.write('', () => void setTimeout(() => process.exit(), ENDS_WITHIN_MS).unref()));
