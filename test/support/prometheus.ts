/**
 * A real Prometheus for tests, the one that set-up found or built; without it such tests are skipped by name, and fail under CI=true.
 */
import { spawn, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../../services/runtime/free-port.js';
import { describeUnlessLacking, setUpPart } from './set-up-part.js';

const READY_WITHIN_MS = 30_000;

const executable = (): string => setUpPart('prometheus');

/** A suite that needs Prometheus or promtool. */
export function describeWithPrometheus(name: string, suite: () => void): void {
  describeUnlessLacking(executable() === '' ? 'no Prometheus: run `npm run setup -- --only=prometheus`' : '', name, suite);
}

export function promtool(args: readonly string[], input = ''): { readonly code: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(join(dirname(executable()), 'promtool'), args, { encoding: 'utf8', input });
  return { code: status, output: `${stdout}${stderr}` };
}

export interface Series {
  readonly metric: { readonly [label: string]: string };
  /** [seconds since the epoch, value] */
  readonly values: readonly (readonly [number, string])[];
}

export interface Prometheus {
  /** Over the range in seconds since the epoch. Throws what Prometheus says of a bad query. */
  range(query: string, from: number, to: number, step: number): Promise<Series[]>;
  stop(): Promise<void>;
}

/** `config`: the text of its configuration, which `rule_files` may name with absolute paths. */
export async function startPrometheus(directory: string, configFile: string): Promise<Prometheus> {
  const [port] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const child = spawn(executable(), [`--config.file=${configFile}`, `--storage.tsdb.path=${join(directory, 'tsdb')}`, `--web.listen-address=${address}`, '--log.level=warn'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  const giveUpAt = performance.now() + READY_WITHIN_MS;
  while (!(await fetch(`http://${address}/-/ready`).then(({ ok }) => ok, () => false))) {
    if (child.exitCode !== null || performance.now() > giveUpAt) throw new Error(`Prometheus does not start: ${said}`);
    await delay(50);
  }
  return {
    async range(query, from, to, step) {
      const response = await fetch(`http://${address}/api/v1/query_range`, { method: 'POST', body: new URLSearchParams({ query, start: String(from), end: String(to), step: String(step) }) });
      const answer = await response.json() as { status: string; error?: string; data: { result: Series[] } };
      if (answer.status !== 'success') throw new Error(`${query}: ${answer.error}`);
      return answer.data.result;
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
