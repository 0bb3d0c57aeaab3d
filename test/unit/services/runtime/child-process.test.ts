import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { superviseChild, type ChildSpec } from '../../../../services/runtime/child-process.js';
import { isAlive } from '../../../../services/runtime/process-alive.js';

const SPEC: ChildSpec = {
  name: 'probe', boundary: 'setup', command: process.execPath, restart: true,
  args: ['-e', 'console.log("ready"); setInterval(() => undefined, 1000)'], ready: { line: (line) => line === 'ready' },
};

describe('a supervised child', () => {
  it('starts again when it is killed, and stops when asked to', async () => {
    const child = await superviseChild(SPEC);
    const first = child.pid();
    const restarted = new Promise<void>((resolve) => { child.onRestart(resolve); });
    process.kill(first, 'SIGKILL');
    await restarted;
    expect(child.pid()).not.toBe(first);
    await child.stop();
    expect(isAlive(child.pid())).toBe(false);
    expect((await child.exited).signal).toBe('SIGTERM');
  });

  it('says each end that was not asked for, and is started again however often it ends, if that is asked', async () => {
    const said: (number | null)[] = [];
    let heard = (): void => undefined;
    const child = await superviseChild({
      ...SPEC, restart: 'always', args: ['-e', 'console.log("ready"); process.exit(3)'],
      onDeath: ({ code }) => { said.push(code); heard(); },
    });
    while (said.length < 4) await new Promise<void>((resolve) => { heard = resolve; });
    await child.stop();
    expect(said.slice(0, 4)).toEqual([3, 3, 3, 3]);
  });

  it('takes its grandchildren with it', async () => {
    const source = 'const { spawn } = require("node:child_process"); const c = spawn("sleep", ["600"]); console.log(c.pid); setInterval(() => undefined, 1000)';
    let grandchild = 0;
    const child = await superviseChild({ ...SPEC, restart: false, args: ['-e', source], ready: { line: (line) => (grandchild = Number(line)) > 0 } });
    process.kill(child.pid(), 'SIGKILL');
    await child.exited;
    await expect.poll(() => isAlive(grandchild), { timeout: 10_000 }).toBe(false);
  });

  it('says why it never became ready', async () => {
    await expect(superviseChild({ ...SPEC, args: ['-e', 'console.error("no luck"); process.exit(3)'] })).rejects.toMatchObject({
      code: 'UNAVAILABLE', message: expect.stringMatching(/probe ended before it was ready \(exit code 3\)[^]*no luck/),
    });
    await expect(superviseChild({ ...SPEC, readyTimeoutMs: 300, ready: { probe: async () => false } })).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('starts again one that was killed, or whose exit code says that it may help, before it was ever ready', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'stemma-child-'));
    // Killed, then refused, then ready.
    const source = `const { existsSync, writeFileSync } = require("node:fs"); const seen = (n) => existsSync(n) || void writeFileSync(n, "");
      if (!seen(${JSON.stringify(join(directory, 'one'))})) process.kill(process.pid, "SIGKILL"); else if (!seen(${JSON.stringify(join(directory, 'two'))})) process.exit(3);
      console.log("ready"); setInterval(() => undefined, 1000)`;
    const deaths: unknown[] = [];
    const child = await superviseChild({ ...SPEC, args: ['-e', source], firstStartMayHelp: (code) => code === 3, onDeath: ({ code, signal }) => deaths.push(signal ?? code) });
    expect(deaths).toEqual(['SIGKILL', 3]);
    await child.stop();
    rmSync(directory, { recursive: true });
  });

  it('is given up at once when its exit code says that no start helps, whatever its restarts', async () => {
    const deaths: unknown[] = [];
    const dying: ChildSpec = { ...SPEC, restart: 'always', firstStartMayHelp: (code) => code !== 78, onDeath: ({ code }) => deaths.push(code) };
    await expect(superviseChild({ ...dying, args: ['-e', 'console.error("wrong setting"); process.exit(78)'] })).rejects.toThrow(/exit code 78[^]*wrong setting/);
    expect(deaths).toEqual([]);
  });

  it('ends when it is abandoned before it was ready', async () => {
    const abandon = new AbortController();
    const starting = superviseChild({ ...SPEC, args: ['-e', 'console.log("waiting"); setInterval(() => undefined, 1000)'], abandon: abandon.signal,
      ready: { line: (line) => { if (line === 'waiting') abandon.abort(); return false; } } });
    await expect(starting).rejects.toMatchObject({ message: expect.stringContaining('SIGTERM') });
  });

  it('keeps what it prints, over restarts, in a file; one that cannot be written stops nothing', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'stemma-child-'));
    const logFile = join(directory, 'child.log');
    const child = await superviseChild({ ...SPEC, logFile, args: ['-e', 'console.error("hello"); console.log("ready"); setInterval(() => undefined, 1000)'] });
    const restarted = new Promise<void>((resolve) => { child.onRestart(resolve); });
    process.kill(child.pid(), 'SIGKILL');
    await restarted;
    await child.stop();
    await expect.poll(() => readFileSync(logFile, 'utf8').split('\n').filter((line) => line !== '').sort()).toEqual(['hello', 'hello', 'ready', 'ready']);
    const unheard = await superviseChild({ ...SPEC, logFile: join(directory, 'no', 'such', 'directory.log') });
    await unheard.stop();
    rmSync(directory, { recursive: true });
  });

  it('kills one that does not end when asked', async () => {
    const child = await superviseChild({ ...SPEC, stopGraceMs: 100, args: ['-e', 'process.on("SIGTERM", () => undefined); console.log("ready"); setInterval(() => undefined, 1000)'] });
    await child.stop();
    expect((await child.exited).signal).toBe('SIGKILL');
  });
});
