/** A real process that is stopped: it accepts connections, as its kernel does for it, and answers nothing. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { watchLiveness } from '../../../../services/cluster/watch-liveness.js';

const SERVES = 'const s = require("http").createServer((q, r) => { r.statusCode = Number(process.argv[1]); r.end("worker: ended\\n"); }).listen(0, "127.0.0.1", () => console.log(s.address().port));';
let child: ChildProcess | undefined;
let end = (): void => undefined;
afterEach(() => {
  end();
  child?.kill('SIGKILL');
});

async function serving(status: number): Promise<string> {
  child = spawn(process.execPath, ['-e', SERVES, String(status)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(child.stdout!, 'data')) as [Buffer];
  return `http://127.0.0.1:${port.toString().trim()}/healthz`;
}

function wedged(url: string): Promise<string> {
  return new Promise((resolve) => { end = watchLiveness({ url, onWedged: resolve, everyMs: 5, wedgedAfterMs: 2_000 }); });
}

it('notices a process that hangs, and not one that answers', async () => {
  const url = await serving(200);
  let why = '';
  const noticed = wedged(url).then((said) => { why = said; });
  await fetch(url);
  expect(why).toBe('');
  child!.kill('SIGSTOP');
  await noticed;
  expect(why).toBe('it does not answer');
});

it('notices one that says it is not live', async () => {
  expect(await wedged(await serving(503))).toBe('worker: ended');
});
