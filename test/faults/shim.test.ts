/** The shim itself, under small programs: what it takes away, what it leaves, and that it says how often it struck. */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithCompiler } from './harness/compiler.js';
import { cutPower, ShimControl, shimEnvironment, type ShimFolders } from './harness/shim.js';

const ROOT = resolve(import.meta.dirname, '../..');
let folder = '';
let folders: ShimFolders;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stemma-shim-'));
  folders = { root: join(folder, 'home'), shadow: join(folder, 'shadow'), control: join(folder, 'control') };
  mkdirSync(folders.root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs under the shim until it kills itself (as `kill -9`: nothing is flushed on the way out) or ends. */
function node(code: string): SpawnSyncReturns<string> {
  const prelude = `const fs = require('node:fs'); const path = require('node:path'); const root = ${JSON.stringify(folders.root)};
    const sync = (p) => { const h = fs.openSync(p, 'r'); fs.fsyncSync(h); fs.closeSync(h); };
    const die = () => process.kill(process.pid, 'SIGKILL');`;
  return spawnSync(process.execPath, ['-e', `${prelude}\n${code}`], { cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...shimEnvironment(folders) } });
}

const python = (code: string): SpawnSyncReturns<string> =>
  spawnSync('python3', ['-c', `import os, time\nroot = ${JSON.stringify(folders.root)}\n${code}`], { encoding: 'utf8', env: { ...process.env, ...shimEnvironment(folders) } });

const text = (name: string): string => readFileSync(join(folders.root, 'd', name), 'utf8');
const exists = (name: string): boolean => existsSync(join(folders.root, 'd', name));
const DIRECTORY = `fs.mkdirSync(root + '/d'); sync(root);`;

describeWithCompiler('a power cut', () => {
  it('keeps what was fsynced with its name, and takes the rest', () => {
    expect(node(`${DIRECTORY}
      const f = fs.openSync(root + '/d/kept', 'w'); fs.writeSync(f, 'durable'); fs.fsyncSync(f); sync(root + '/d');
      fs.writeSync(f, ' and lost'); fs.writeSync(f, 'DUR', 0);
      fs.writeFileSync(root + '/d/unsynced', 'content');
      const g = fs.openSync(root + '/d/nameless', 'w'); fs.writeSync(g, 'x'); fs.fsyncSync(g);
      die();`).signal).toBe('SIGKILL');
    expect(text('kept')).toBe('DURable and lost');
    const cut = cutPower(folders, ['d']);
    expect(text('kept')).toBe('durable');
    expect([exists('unsynced'), exists('nameless')]).toEqual([false, false]);
    expect(cut.changed).toEqual(expect.arrayContaining(['d/kept', 'd/unsynced', 'd/nameless']));
  });

  it('takes a whole folder whose own name was never synced', () => {
    node(`fs.mkdirSync(root + '/d'); const f = fs.openSync(root + '/d/file', 'w'); fs.writeSync(f, 'x'); fs.fsyncSync(f); sync(root + '/d'); die();`);
    expect(exists('file')).toBe(true);
    cutPower(folders, ['d']);
    expect(exists('file')).toBe(false);
  });

  it('undoes renames, truncations and deletions that no fsync followed', () => {
    node(`${DIRECTORY}
      for (const name of ['a', 'b', 'c']) { const f = fs.openSync(root + '/d/' + name, 'w'); fs.writeSync(f, name.repeat(4)); fs.fsyncSync(f); }
      sync(root + '/d');
      fs.renameSync(root + '/d/a', root + '/d/z'); fs.truncateSync(root + '/d/b', 1); fs.rmSync(root + '/d/c');
      fs.writeFileSync(root + '/d/new', 'it may get the number of the inode just freed');
      die();`);
    expect([exists('a'), text('b'), exists('c')]).toEqual([false, 'b', false]);
    cutPower(folders, ['d']);
    expect([text('a'), text('b'), text('c'), exists('z'), exists('new')]).toEqual(['aaaa', 'bbbb', 'cccc', false, false]);
  });

  it('leaves the blob that asynchronous code wrote, synced, renamed and synced by name', () => {
    node(`${DIRECTORY} (async () => {
      const { open, rename } = require('node:fs/promises');
      const put = async (name, bytes, last) => {
        const f = await open(root + '/d/.tmp', 'wx'); await f.writeFile(bytes); if (last !== 'unsynced') await f.sync(); await f.close();
        await rename(root + '/d/.tmp', root + '/d/' + name);
        const d = await open(root + '/d', 'r'); await d.sync(); await d.close();
      };
      await put('blob', Buffer.alloc(200000, 7)); await put('hollow', Buffer.alloc(1000, 7), 'unsynced'); die();
    })();`);
    cutPower(folders, ['d']);
    expect(readFileSync(join(folders.root, 'd', 'blob')).equals(Buffer.alloc(200000, 7))).toBe(true);
    expect(readFileSync(join(folders.root, 'd', 'hollow'))).toHaveLength(0);
  });

  it('leaves what Python synced, and what a second cut finds synced again', () => {
    const write = `
def put(name, data, last=True):
  with open(f"{root}/d/{name}", "ab") as f:
    f.write(data); f.flush()
    if last: os.fsync(f.fileno())
  d = os.open(f"{root}/d", os.O_RDONLY); os.fsync(d); os.close(d)
`;
    node(DIRECTORY);
    const first = python(`${write}put("a", b"one "); put("a", b"lost", False); os.kill(os.getpid(), 9)`);
    expect(first.stderr).toBe('');
    cutPower(folders, ['d']);
    expect(text('a')).toBe('one ');
    python(`${write}put("a", b"two"); put("a", b"lost", False); os.kill(os.getpid(), 9)`);
    cutPower(folders, ['d']);
    expect(text('a')).toBe('one two');
  });

  it.each([['FULL', 20], ['OFF', 0]] as const)('leaves SQLite\'s commits with synchronous = %s: %i of 20', (synchronous, left) => {
    const { signal, stderr } = node(`${DIRECTORY}
      const Database = require('better-sqlite3'); const { Worker, isMainThread } = require('node:worker_threads');
      const made = new Database(root + '/d/log.sqlite'); made.pragma('journal_mode = WAL'); made.pragma('synchronous = FULL');
      made.exec('CREATE TABLE t(x)'); sync(root + '/d');
      new Worker(\`const Database = require('better-sqlite3'); const db = new Database(\${JSON.stringify(root + '/d/log.sqlite')});
        db.pragma('synchronous = ${synchronous}');
        for (let i = 0; i < 20; i++) db.prepare('INSERT INTO t VALUES (?)').run('row '.repeat(500) + i);
        process.kill(process.pid, 'SIGKILL');\`, { eval: true });`);
    expect([signal, stderr]).toEqual(['SIGKILL', '']);
    cutPower(folders, ['d']);
    const db = new Database(join(folders.root, 'd', 'log.sqlite'));
    expect([db.pragma('integrity_check', { simple: true }), db.prepare('SELECT count(*) FROM t').pluck().get()]).toEqual(['ok', left]);
    db.close();
  });
});

describeWithCompiler('a failing disk', () => {
  it('is full after so many bytes, only where asked, and says so', () => {
    const control = new ShimControl(folders.control, 'services');
    control.set('full', 1);
    control.set('space', 10);
    control.onlyPaths('/d/');
    const { stdout } = node(`${DIRECTORY} fs.writeFileSync(root + '/elsewhere', 'x'.repeat(100));
      fs.writeFileSync(root + '/d/a', '12345678'); try { fs.writeFileSync(root + '/d/b', '12345678'); } catch (e) { console.log(e.code); }`);
    expect([stdout.trim(), text('a'), text('b'), control.get('enospcHits')]).toEqual(['ENOSPC', '12345678', '', 1]);
    control.close();
  });

  it('fails one fsync, after which the pages count as clean and are lost', () => {
    const control = new ShimControl(folders.control, 'services');
    control.set('syncFailures', 1);
    control.onlyPaths('/d/a');
    const { stdout } = node(`${DIRECTORY} const f = fs.openSync(root + '/d/a', 'w'); fs.writeSync(f, 'gone');
      try { fs.fsyncSync(f); } catch (e) { console.log(e.code); } sync(root + '/d'); fs.writeSync(f, 'kept', 4); fs.fsyncSync(f); die();`);
    expect([stdout.trim(), control.get('eioHits'), control.get('syncFailures')]).toEqual(['EIO', 1, 0]);
    cutPower(folders, ['d']);
    expect(text('a')).toBe('\0\0\0\0kept');
    control.close();
  });
});

describeWithCompiler('a skewed clock', () => {
  it('moves the wall clock of Node and of Python while they run, and no monotonic one', () => {
    for (const [role, run] of [['services', node], ['sidecar', python]] as const) {
      const control = new ShimControl(folders.control, role);
      control.set('skewNs', 86_400e9);
      const { stdout, stderr } = run(role === 'services'
        ? `console.log(Date.now(), new Date().getTime(), Number(process.hrtime.bigint() / 1000000n))`
        : `print(int(time.time() * 1000), int(time.time() * 1000), int(time.monotonic() * 1000))`);
      expect(stderr).toBe('');
      const [wall, again, monotonic] = stdout.trim().split(' ').map(Number);
      const day = 86_400_000;
      expect(Math.round((wall! - Date.now()) / day)).toBe(1);
      expect(Math.round((again! - Date.now()) / day)).toBe(1);
      expect(Math.abs(monotonic! - Number(process.hrtime.bigint() / 1_000_000n))).toBeLessThan(day / 2);
      expect(control.get('skewHits')).toBeGreaterThan(1);
      control.close();
    }
  });
});
