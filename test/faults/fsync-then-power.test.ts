/**
 * After a failed fsync the kernel calls the pages clean and they are lost at the next power cut, though every process still
 * reads them from the page cache: a log that is opened again must not build on them.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { describeWithCompiler } from './harness/compiler.js';
import { cutPower, ShimControl, shimEnvironment, type ShimFolders } from './harness/shim.js';

const ROOT = resolve(import.meta.dirname, '../..');
const STREAM = 'run/r';
/** Offset in ./shim/shim.h. */
const SYNC_FAILURES_AT = 24;
let folder = '';
let folders: ShimFolders;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stemma-fsync-'));
  folders = { root: join(folder, 'home'), shadow: join(folder, 'shadow'), control: join(folder, 'control') };
  mkdirSync(folders.root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Opens the log, lets so many fsyncs of it fail, appends [from, to) one by one and kills itself; the ids that were acknowledged. */
function append(from: number, to: number, syncFailures = 0): string[] {
  const code = `(async () => {
    const { openDirectoryBlobs } = await import('./dist/services/adapters/blob/directory.js');
    const { openEmbeddedLogs } = await import('./dist/services/adapters/log/embedded.js');
    const { newEvent } = await import('./dist/services/runtime/new-event.js');
    const { mkdirSync, openSync, writeSync } = await import('node:fs');
    const home = ${JSON.stringify(folders.root)};
    mkdirSync(home + '/log', { recursive: true });
    await openDirectoryBlobs(home + '/blobs');
    const log = await (await openEmbeddedLogs(home + '/log')).open('r', 'write');
    const control = openSync(${JSON.stringify(join(folders.control, 'services.ctl'))}, 'r+');
    writeSync(control, new BigInt64Array([${syncFailures}n]), 0, 8, ${SYNC_FAILURES_AT});
    for (let n = ${from}; n < ${to}; n += 1) {
      const event = newEvent({ stream: '${STREAM}', run: 'r', claim: '', seq: 0 }, { $case: 'runPaused', value: { updateId: String(n), by: 'x'.repeat(3000) } });
      await log.append([event]).then(() => writeSync(1, event.id + '\\n'), () => undefined);
    }
    process.kill(process.pid, 'SIGKILL');
  })();`;
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['-e', code], {
    cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...shimEnvironment(folders) },
  });
  expect([signal, stderr]).toEqual(['SIGKILL', '']);
  return stdout.split('\n').filter(Boolean);
}

describeWithCompiler('the embedded log', () => {
  it('keeps what is acknowledged after a failed fsync, a restart and a power cut', async () => {
    const first = append(0, 10);
    expect(first).toHaveLength(10);
    const control = new ShimControl(folders.control, 'services');
    control.onlyPaths('-wal');
    expect(append(10, 12, 1)).toEqual([]);
    expect([control.get('eioHits'), control.get('syncFailures')]).toEqual([1, 0]);
    control.close();
    const second = append(12, 22);
    expect(second).toHaveLength(10);
    cutPower(folders, ['log', 'blobs']);
    const logs = await openEmbeddedLogs(join(folders.root, 'log'));
    const log = await logs.open('r', 'read');
    const left = new Set((await log.readStream(STREAM)).map(({ event }) => event.id));
    await logs.close();
    expect([...first, ...second].filter((id) => !left.has(id))).toEqual([]);
  });
});
