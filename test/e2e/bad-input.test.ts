/** Bad input at the door: one clear message that says what to do, a non-zero exit, nothing lost, no stack trace. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { newHome } from '../support/homes.js';
import { cli, type QuickstartResult } from '../support/quickstart.js';

function refused(result: QuickstartResult): string {
  expect(result.code).not.toBe(0);
  expect(result.code).not.toBeNull();
  expect(result.stderr).not.toMatch(/^\s+at .+:\d+:\d+/m);
  return result.stderr;
}

describe('recipes', () => {
  const micro = readFileSync(join(import.meta.dirname, '../../recipes/micro.yaml'), 'utf8');
  const run = async (yaml: string): Promise<string> => {
    const home = newHome();
    const file = join(home, 'recipe.yaml');
    writeFileSync(file, yaml);
    return refused(await cli(home, ['run', file]));
  };

  it('names an unknown key', async () => {
    expect(await run(`${micro}\nsurprise: 1\n`)).toContain('surprise');
  });

  it('names every problem at once: wrong type, k < 2, an unrouted domain', async () => {
    const bad = micro.replace('tasksPerDomain: 8', 'tasksPerDomain: many').replace('topK: 16', 'topK: 1').replace(/\n {2}tools: tools-rl/, '');
    const message = await run(bad);
    expect(message).toContain('evaluation.tasksPerDomain');
    expect(message).toContain('topK');
    expect(message).toContain('teachers.tools');
  });

  it('refuses a teacher cycle', async () => {
    expect(await run(micro.replace('reference: sft', 'reference: search-rl'))).toMatch(/search-rl/);
  });
});

describe('the machine', () => {
  it('says that a Kafka log is not to be had yet', async () => {
    expect(refused(await cli(newHome(), ['quickstart', '--recipe', 'micro', '--log', 'kafka://127.0.0.1:9092']))).toMatch(/Kafka/);
  });

  it('names a corrupt log file and leaves it as it is', async () => {
    const home = newHome();
    mkdirSync(join(home, 'log'));
    const file = join(home, 'log', 'micro-s1-1.sqlite');
    writeFileSync(file, 'this is not a database, whatever its name says. '.repeat(100));
    const before = readFileSync(file);
    expect(refused(await cli(home, ['quickstart', '--recipe', 'micro']))).toContain('micro-s1-1.sqlite');
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('names a port that is in use', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as AddressInfo;
    const previous = process.env['STEMMA_METRICS_PORT'];
    process.env['STEMMA_METRICS_PORT'] = String(port);
    try {
      expect(refused(await cli(newHome(), ['quickstart', '--recipe', 'micro']))).toContain(String(port));
    } finally {
      if (previous === undefined) delete process.env['STEMMA_METRICS_PORT'];
      else process.env['STEMMA_METRICS_PORT'] = previous;
      holder.close();
    }
  });

  it('says which Node it needs', () => {
    const preload = join(newHome(), 'old-node.cjs');
    writeFileSync(preload, "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.1' } });\n");
    const { status, stderr } = startedBy(['--require', preload], {});
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Stemma needs Node 20\.19 or newer; this is Node 18\.20\.1\. Install .* run the same command again\.\n$/);
  });

  it('says which Python it needs', () => {
    const python = join(newHome(), 'python3');
    writeFileSync(python, '#!/bin/sh\necho "Python 3.9.2"\n', { mode: 0o755 });
    const { status, stderr } = startedBy([], { STEMMA_PYTHON: python });
    expect(status).toBe(1);
    expect(stderr).toMatch(/Python 3\.9\.2 is not supported: Stemma needs 3\.11 to 3\.13\.\n→ Set STEMMA_PYTHON/);
    expect(stderr).not.toMatch(/^\s+at .+:\d+:\d+/m);
  });

  it('says which runs there are when one is not', async () => {
    expect(refused(await cli(newHome(), ['status', 'nothing']))).toMatch(/no run|nothing has run/i);
  });
});

/** The command as npm starts it, set-up included. */
function startedBy(nodeOptions: readonly string[], settings: { readonly [name: string]: string }): { status: number | null; stderr: string } {
  const main = join(import.meta.dirname, '../../deploy/stemma.mjs');
  return spawnSync(process.execPath, [...nodeOptions, main, 'quickstart', '--recipe', 'micro'], {
    encoding: 'utf8', env: { ...process.env, ...settings, STEMMA_HOME: newHome() },
  });
}
