import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { download } from '../../../../deploy/setup/temporal-step.mjs';

let directory = '';
let server: Server;
let asked: (string | undefined)[] = [];
let answer: { status: number; body: Buffer };

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'stemma-temporal-'));
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(answer.status).end(answer.body);
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});
const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/cli/archive`;

it('asks for the pinned version and this platform, and unpacks the program', async () => {
  writeFileSync(join(directory, 'temporal'), 'the program');
  const body = execFileSync('tar', ['-cz', '-C', directory, 'temporal']);
  rmSync(join(directory, 'temporal'));
  answer = { status: 200, body };
  expect(await download(directory, address())).toBeNull();
  expect(readFileSync(join(directory, 'temporal'), 'utf8')).toBe('the program');
  expect(asked).toEqual([`/cli/archive/v1.5.1?platform=${process.platform}&arch=${process.arch === 'x64' ? 'amd64' : process.arch}`]);
});

it('says what went wrong instead of throwing, so that the next way is tried', async () => {
  answer = { status: 404, body: Buffer.from('') };
  expect(await download(directory, address())).toBe('the server answered 404');
  answer = { status: 200, body: Buffer.from('<html>') };
  expect(await download(directory, address())).toContain('the archive could not be unpacked');
  const gone = address();
  server.close();
  server.closeAllConnections();
  expect(await download(directory, gone)).toMatch(/^(ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET)$/);
});
