/** One service as a supervised child: `stemma serve ROLE` with a home of its own, for ever. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT_FINAL } from '../cli/failure.js';
import { superviseChild, type ChildExit } from '../runtime/child-process.js';
import { environmentOf, type Config } from '../runtime/config.js';
import { freePort } from '../runtime/free-port.js';
import type { Role } from '../roles/role.js';
import { dialable } from '../runtime/tls/loopback.js';
import type { Tls } from '../runtime/tls/tls.js';
import { watchLiveness } from './watch-liveness.js';

export interface RoleProcessSpec {
  /** Unique in the cluster: rollout-2. */
  readonly name: string;
  readonly role: Role;
  /** Of the cluster: shared log, blobs and addresses. */
  readonly config: Config;
  /** With which we ask it how it is; null: plain text. */
  readonly tls: Tls | null;
  readonly onDeath: (exit: ChildExit) => void;
  /** What it says when it is ready, and what it waits for before. */
  readonly onLine: (line: string) => void;
  /** Ends the waiting for it to become ready, and it. */
  readonly stop?: AbortSignal;
}

export interface RoleProcess {
  readonly name: string;
  readonly metrics: string;
  pid(): number;
  onRestart(listener: () => void): void;
  stop(): Promise<void>;
}

/** It hands back its work, stops its sidecar and closes its log. */
const STOP_GRACE_MS = 15_000;
/** Importing torch takes seconds, minutes on a machine that starts seven at once. */
const READY_TIMEOUT_MS = 300_000;

/** Tries again while that may help; a service that lacks what only a person can mend is given up at once, with what it said. */
export async function startRoleProcess({ name, role, config, tls, onDeath, onLine, stop }: RoleProcessSpec): Promise<RoleProcess> {
  const home = join(config.home, 'roles', name);
  await mkdir(home, { recursive: true });
  const metricsPort = await freePort(0, 'STEMMA_METRICS_PORT');
  const child = await superviseChild({
    name, boundary: 'setup', command: process.execPath,
    args: [join(config.packageRoot, 'dist', 'services', 'cli', 'main.js'), 'serve', role],
    env: environmentOf({ ...config, home, logFile: join(home, 'log.jsonl'), ports: { ...config.ports, metrics: metricsPort } }),
    ready: {
      line(line) {
        const isReady = line.startsWith(`${role} ready`);
        if (isReady || line.startsWith(`${role} waits: `)) onLine(line.replace(role, name));
        return isReady;
      },
    },
    readyTimeoutMs: READY_TIMEOUT_MS, restart: 'always', firstStartMayHelp: (code) => code !== EXIT_FINAL, abandon: stop, stopGraceMs: STOP_GRACE_MS, onDeath,
    logFile: join(home, 'output.log'),
  });
  const address = `http${tls ? 's' : ''}://${dialable(config.listenHost)}:${metricsPort}`;
  const endWatch = watchLiveness({
    url: `${address}/healthz`, tls,
    onWedged(why) {
      onLine(`${name} is not live (${why}): ending it`);
      process.kill(child.pid(), 'SIGKILL');
    },
  });
  void child.exited.then(endWatch);
  return {
    name, metrics: `${address}/metrics`,
    pid: () => child.pid(), onRestart: (listener) => child.onRestart(listener), stop: () => child.stop(),
  };
}
