// Child processes of set-up: output to a log file, its first and last lines into the error.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SetupFailure } from './failure.mjs';

const SHOWN_LINES = 12;
/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/** Ends what is still running; for a signal handler. */
export function killCommands() {
  for (const child of children) child.kill('SIGTERM');
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ log: string, remedy: string, cwd?: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<void>}
 */
export function runCommand(command, args, { log, remedy, cwd, env }) {
  mkdirSync(dirname(log), { recursive: true });
  const output = openSync(log, 'w');
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
    children.add(child);
    /** @param {string} how */
    const failed = (how) => {
      const said = ends(readFileSync(log, 'utf8').trim());
      reject(new SetupFailure(`\`${[command, ...args].join(' ')}\` ${how}${said ? `:\n${said}` : ''}\n(all of its output: ${log})`, remedy));
    };
    child.once('error', (error) => failed(`could not be started: ${error.message}`));
    child.once('close', (code, signal) => {
      children.delete(child);
      closeSync(output);
      if (code === 0) resolve();
      else failed(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
    });
  });
}

/** The first and last lines: some tools say what is wrong at the start, some at the end. @param {string} text */
function ends(text) {
  const lines = text.split('\n');
  if (lines.length <= 2 * SHOWN_LINES) return text;
  return [...lines.slice(0, SHOWN_LINES), '…', ...lines.slice(-SHOWN_LINES)].join('\n');
}

/** What a short command prints, or null if it does not exist or fails. @param {string} command @param {readonly string[]} args @returns {string | null} */
export function outputOf(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000, stdio: ['ignore', 'pipe', 'pipe'] });
  return status === 0 ? `${stdout}${stderr}`.trim() : null;
}
