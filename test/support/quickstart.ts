/** The quickstart as a user starts it, in a home of its own; what it prints at the end; its children by what they are. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { newHome } from './homes.js';
import { statOf } from './proc-stat.js';

const MAIN = resolve(import.meta.dirname, '../../dist/services/cli/main.js');

export interface QuickstartResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Quickstart {
  readonly process: ChildProcess;
  readonly ended: Promise<QuickstartResult>;
  pid(): number;
  /** So far. */
  stderr(): string;
}

type Settings = { readonly [name: string]: string };

export function startQuickstart(home: string, args: readonly string[], settings: Settings = {}): Quickstart {
  return start(home, ['quickstart', ...args], settings);
}

/** As startQuickstart, for a recipe of one's own. */
export function startRun(home: string, recipe: string, settings: Settings = {}): Quickstart {
  return start(home, ['run', recipe, '--seed', '1', '--json'], settings);
}

/** The platform, without a run of its own. */
export function startUp(home: string, args: readonly string[], settings: Settings = {}): Quickstart {
  return start(home, ['up', ...args], settings);
}

export function cli(home: string, args: readonly string[], settings: Settings = {}): Promise<QuickstartResult> {
  return start(home, args, settings).ended;
}

/** What the micro recipe at seed 1 ends in when nobody disturbs it, in hex, on this kind of machine: others sum in another order. */
export async function weightsOfMicroAlone(): Promise<string> {
  const alone = await cli(newHome(), ['quickstart', '--recipe', 'micro', '--seed', '1', '--json']);
  if (alone.code !== 0) throw new Error(`the undisturbed run ended with ${alone.code}: ${alone.stderr}`);
  return (JSON.parse(alone.stdout) as { weights: string }).weights.replace('sha256:', '');
}

/** The home is the test's own; the tools are those that set-up found. */
function start(home: string, args: readonly string[], settings: Settings): Quickstart {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...settings, STEMMA_HOME: home }, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<QuickstartResult>((done) => {
    child.on('close', (code, signal) => done({ code, signal, stdout, stderr }));
  });
  return { process: child, ended, pid: () => child.pid ?? 0, stderr: () => stderr };
}

export type Victim = 'services' | 'sidecar' | 'temporal';

const COMMAND: { readonly [V in Exclude<Victim, 'services'>]: (argv: readonly string[]) => boolean } = {
  sidecar: (argv) => argv.includes('sidecar') && argv.includes('--blobs'),
  temporal: (argv) => (argv[0] ?? '').endsWith('temporal') && argv.includes('start-dev'),
};

/** Process id of a part of this quickstart, found among its descendants; undefined while it is not up. */
export function pidOf(quickstart: Quickstart, victim: Victim): number | undefined {
  if (victim === 'services') return quickstart.pid();
  return descendants(quickstart.pid()).find((pid) => COMMAND[victim](argvOf(pid)));
}

/** Those below it, and below them. */
export function descendants(root: number): number[] {
  const parents = new Map(readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => [Number(name), parentOf(Number(name))]));
  const below = (pid: number): number[] => [...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => [child, ...below(child)]);
  return below(root);
}

function parentOf(pid: number): number {
  return Number(statOf(pid)?.[1] ?? 0);
}

function argvOf(pid: number): string[] {
  try {
    return readFileSync(join('/proc', String(pid), 'cmdline'), 'utf8').split('\0');
  } catch {
    return [];
  }
}

export function isRunning(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat[0] !== 'Z';
}
