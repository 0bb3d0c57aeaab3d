/** The dev server as our child: ports kept over a restart, clear refusals, no survivor of kill -9 of its parent. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTemporal, type TemporalSpec } from '../../../services/runtime/temporal-process.js';
import { packageRoot } from '../../../services/runtime/package-root.js';
import { NO_TEMPORAL, findTemporal } from '../../support/temporal-executable.js';
import { isAlive } from '../../../services/runtime/process-alive.js';

const executable = findTemporal();

describe.skipIf(executable === undefined)(`temporal process${executable === undefined ? ` (${NO_TEMPORAL})` : ''}`, () => {
  let directory: string;
  let spec: TemporalSpec;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stemma-temporal-'));
    spec = { executable: executable as string, databaseFile: join(directory, 'temporal.db'), logFile: join(directory, 'temporal.log') };
  });
  afterEach(async () => { await rm(directory, { recursive: true, force: true }); });

  it('comes back on the same ports, shows its UI and refuses a port in use', async () => {
    const server = await startTemporal(spec);
    try {
      const restarted = new Promise<void>((resolve) => { server.onRestart(resolve); });
      process.kill(server.pid(), 'SIGKILL');
      await restarted;
      expect((await fetch(server.uiUrl)).status).toBe(200);
      const port = Number(server.address.split(':')[1]);
      await expect(startTemporal({ ...spec, databaseFile: join(directory, 'other.db'), port })).rejects.toMatchObject({ boundary: 'temporal', code: 'LOCKED', message: expect.stringContaining(String(port)) });
    } finally {
      await server.stop();
    }
  });

  it('refuses what is no database, and a program that is not there', async () => {
    await writeFile(spec.databaseFile, 'hello, this is not a database');
    await expect(startTemporal(spec)).rejects.toMatchObject({ code: 'CORRUPT', remedy: expect.stringContaining('Delete it') });
    await expect(startTemporal({ ...spec, databaseFile: join(directory, 'new.db'), executable: join(directory, 'nothing') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('ends when its parent is killed', async () => {
    const compiled = join(packageRoot(), 'dist', 'services', 'runtime', 'temporal-process.js');
    const script = `const { startTemporal } = await import(${JSON.stringify(compiled)}); const server = await startTemporal(${JSON.stringify(spec)}); console.log(server.pid());`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(createInterface({ input: parent.stdout }), 'line') as [string];
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  });
});
