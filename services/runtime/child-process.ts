/**
 * A supervised child process that never outlives us, not even after `kill -9` of this process.
 *
 * How: fd 3 of the child is a pipe whose other end only we hold. A watcher forked by the POSIX shell
 * that then *becomes* the child (exec: same pid) blocks on that pipe. End of file means that we are gone,
 * or that we saw the child end: it kills the child's process group, itself and any grandchild included.
 * (The watcher is a member of that group, so its id cannot have been given to anyone else.)
 * The child runs in its own session, so that Ctrl-C in a terminal reaches only us and we stop it in order.
 * Its stdin is a pipe of ours too: children that end when stdin closes may rely on it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { StemmaError, type Boundary } from '../../core/errors.js';

const WATCHED = '(read -r _ <&3; kill -9 -$$) >/dev/null 2>&1 </dev/null & exec 3<&-; exec "$@"';
const KEPT_LINES = 20;

/** `line` sees each line of stdout until it answers true; `probe` is called every 25 ms until it does. */
export type Ready =
  | { readonly line: (line: string) => boolean }
  | { readonly probe: () => Promise<boolean> };

export interface ChildSpec {
  /** For people: log lines and errors. */
  readonly name: string;
  /** Of the errors thrown here. */
  readonly boundary: Boundary;
  readonly command: string;
  /** A function is asked again at each restart, e.g. to keep the port the first start chose. */
  readonly args: readonly string[] | (() => readonly string[]);
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly ready: Ready;
  readonly readyTimeoutMs?: number;
  /**
   * Start it again whenever it ends without having been asked to: until ten restarts in a row failed, or `always`. Before it was ever ready:
   * ten restarts at most, where a signal ended it (somebody else's doing) or `firstStartMayHelp` says so.
   */
  readonly restart: boolean | 'always';
  /** Whether another start may help one that ended, with this exit code, before it was ever ready. Default: no. */
  readonly firstStartMayHelp?: (code: number | null) => boolean;
  /** Nobody wants it any more: ends the waiting for its first readiness, and it. */
  readonly abandon?: AbortSignal;
  /** Each end of it that was not asked for. */
  readonly onDeath?: (exit: ChildExit) => void;
  /** Everything it prints is appended here, over all restarts; a file that cannot be written stops nothing. */
  readonly logFile?: string;
  /** SIGTERM, then SIGKILL after this long. */
  readonly stopGraceMs?: number;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines of stdout and stderr. */
  readonly lastLines: readonly string[];
}

export interface SupervisedChild {
  /** Of the present incarnation. */
  pid(): number;
  /** Idempotent; resolves when the process is gone. */
  stop(): Promise<void>;
  /** Called each time it is ready again after it had ended. */
  onRestart(listener: () => void): void;
  /** The final end: stopped, ended without `restart`, or ten restarts in a row failed. */
  readonly exited: Promise<ChildExit>;
}

const RESTARTS_IN_A_ROW = 10;
const FIRST_RESTART_DELAY_MS = 50;
const LONGEST_RESTART_DELAY_MS = 5000;
const STABLE_AFTER_MS = 2000;

/** Resolves when the child is ready for the first time. TIMEOUT or UNAVAILABLE if it never is, or is abandoned. */
export async function superviseChild(spec: ChildSpec): Promise<SupervisedChild> {
  const supervisor = new Supervisor(spec);
  await supervisor.start();
  return supervisor;
}

class Supervisor implements SupervisedChild {
  readonly exited: Promise<ChildExit>;
  private resolveExited!: (exit: ChildExit) => void;
  private current: Incarnation | undefined;
  private stopping = false;
  private readonly wake = new AbortController();
  private readonly listeners: (() => void)[] = [];
  private readonly log: WriteStream | undefined;

  constructor(private readonly spec: ChildSpec) {
    this.exited = new Promise((resolve) => { this.resolveExited = resolve; });
    this.log = spec.logFile === undefined ? undefined : createWriteStream(spec.logFile, { flags: 'a' }).on('error', () => undefined);
    void this.exited.then(() => this.log?.end());
  }

  async start(): Promise<void> {
    const { abandon } = this.spec;
    const giveUp = (): void => { void this.abandoned(); };
    abandon?.addEventListener('abort', giveUp, { once: true });
    try {
      void this.supervise(await this.firstReady());
    } catch (error) {
      this.log?.end();
      throw error;
    } finally {
      abandon?.removeEventListener('abort', giveUp);
    }
  }

  private async firstReady(): Promise<Incarnation> {
    for (let starts = 1; ; starts += 1) {
      this.spec.abandon?.throwIfAborted();
      const started = this.current = launch(this.spec, this.log);
      const failure = await started.ready.then(() => undefined, (error: unknown) => error as StemmaError);
      if (failure === undefined) return started;
      const exit = await started.exit;
      if (this.stopping || !this.mayStartAgain(starts, exit, failure)) throw failure;
      this.spec.onDeath?.(exit);
      await this.pause(starts - 1);
    }
  }

  private async abandoned(): Promise<void> {
    this.stopping = true;
    this.wake.abort();
    if (this.current !== undefined) await terminate(this.current, this.spec.stopGraceMs ?? 3000);
  }

  private mayStartAgain(starts: number, { code, signal }: ChildExit, { code: why }: StemmaError): boolean {
    const { restart, firstStartMayHelp } = this.spec;
    if (restart === false || starts > RESTARTS_IN_A_ROW) return false;
    // We ended it ourselves, after its time was over.
    if (why === 'TIMEOUT') return restart === 'always';
    return signal !== null || firstStartMayHelp?.(code) === true;
  }

  private async pause(shortLived: number): Promise<void> {
    await delay(restartDelayMs(shortLived), undefined, { signal: this.wake.signal }).catch(() => undefined);
  }

  pid(): number {
    return this.current?.pid ?? -1;
  }

  onRestart(listener: () => void): void {
    this.listeners.push(listener);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake.abort();
    if (this.current !== undefined) await terminate(this.current, this.spec.stopGraceMs ?? 3000);
    await this.exited;
  }

  private mayRestart(neverReady: number): boolean {
    const { restart } = this.spec;
    return restart === 'always' || (restart && neverReady < RESTARTS_IN_A_ROW);
  }

  private async supervise(first: Incarnation): Promise<void> {
    let exit = await first.exit;
    let neverReady = 0;
    let shortLived = 0;
    while (!this.stopping) {
      this.spec.onDeath?.(exit);
      if (!this.mayRestart(neverReady)) break;
      await this.pause(shortLived);
      if (this.stopping) break;
      this.current = launch(this.spec, this.log);
      const isReady = await this.current.ready.then(() => true, () => false);
      neverReady = isReady ? 0 : neverReady + 1;
      const readyMs = performance.now();
      if (isReady && !this.stopping) for (const listener of this.listeners) listener();
      exit = await this.current.exit;
      shortLived = isReady && performance.now() - readyMs > STABLE_AFTER_MS ? 0 : shortLived + 1;
    }
    this.resolveExited(exit);
  }
}

function restartDelayMs(shortLived: number): number {
  return Math.min(LONGEST_RESTART_DELAY_MS, FIRST_RESTART_DELAY_MS * 2 ** shortLived);
}

interface Incarnation {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  readonly exit: Promise<ChildExit>;
}

function launch(spec: ChildSpec, log: WriteStream | undefined): Incarnation {
  const args = typeof spec.args === 'function' ? spec.args() : spec.args;
  const child = spawn('/bin/sh', ['-c', WATCHED, spec.name, spec.command, ...args], {
    cwd: spec.cwd, env: spec.env, detached: true, stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  const lastLines: string[] = [];
  const exit = new Promise<ChildExit>((resolve) => {
    child.once('error', (error) => { lastLines.push(error.message); resolve({ code: null, signal: null, lastLines }); });
    // Ends the watcher and with it every holder of the child's pipes: 'close' follows.
    child.once('exit', () => child.stdio[3]?.destroy());
    child.once('close', (code, signal) => resolve({ code, signal, lastLines }));
  });
  const ready = becomeReady(spec, { child, exit, lastLines, log });
  ready.catch(() => undefined);
  return { pid: child.pid ?? -1, child, exit, ready };
}

interface Starting {
  readonly child: ChildProcess;
  readonly exit: Promise<ChildExit>;
  readonly lastLines: string[];
  readonly log: WriteStream | undefined;
}

async function becomeReady(spec: ChildSpec, { child, exit, lastLines, log }: Starting): Promise<void> {
  const timeoutMs = spec.readyTimeoutMs ?? 60_000;
  const deadline = new AbortController();
  let sawReadyLine!: () => void;
  const readyLine = new Promise<void>((resolve) => { sawReadyLine = resolve; });
  for (const stream of ['stdout', 'stderr'] as const) {
    createInterface({ input: child[stream]! }).on('line', (line) => {
      lastLines.push(line);
      if (lastLines.length > KEPT_LINES) lastLines.shift();
      log?.write(`${line}\n`);
      if (stream === 'stdout' && 'line' in spec.ready && !deadline.signal.aborted && spec.ready.line(line)) sawReadyLine();
    });
  }
  // A dying child's pipes must not take us with it: EPIPE on write, ECONNRESET on read.
  for (const pipe of child.stdio) pipe?.on('error', () => undefined);
  const isReady = 'line' in spec.ready ? readyLine : poll(spec.ready.probe, deadline.signal);
  const outcome = await Promise.race([
    isReady.then(() => 'ready' as const),
    exit.then(() => 'ended' as const),
    delay(timeoutMs, 'late' as const, { signal: deadline.signal }).catch(() => 'late' as const),
  ]);
  deadline.abort();
  if (outcome === 'ready') return;
  child.kill('SIGKILL');
  throw await notReady(spec, exit, outcome === 'late' ? timeoutMs : undefined);
}

async function poll(probe: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await probe().catch(() => false))) await delay(25);
}

async function notReady(spec: ChildSpec, exit: Promise<ChildExit>, timeoutMs?: number): Promise<StemmaError> {
  const { code, signal, lastLines } = await exit;
  const output = lastLines.length > 0 ? `; its last lines:\n${lastLines.join('\n')}` : '; it printed nothing';
  return timeoutMs === undefined
    ? new StemmaError(spec.boundary, 'UNAVAILABLE', `${spec.name} ended before it was ready (${signal ?? `exit code ${code}`})${output}`, `Read its last lines; the command was ${spec.command}.`)
    : new StemmaError(spec.boundary, 'TIMEOUT', `${spec.name} was not ready after ${timeoutMs} ms${output}`, 'Is the machine overloaded? Start again, or allow more time.');
}

async function terminate({ child, exit }: Incarnation, graceMs: number): Promise<void> {
  child.stdin?.end();
  child.kill('SIGTERM');
  const grace = new AbortController();
  void exit.then(() => grace.abort());
  await delay(graceMs, undefined, { signal: grace.signal }).then(() => child.kill('SIGKILL'), () => undefined);
  await exit;
}
