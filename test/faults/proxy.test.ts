/** The proxy does to a real connection what it says, and counts it. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLEAR, Proxy } from './harness/proxy.js';

let echo: Server;
let proxy: Proxy;
let client: Socket;
let received = '';

beforeEach(async () => {
  echo = createServer((socket) => { socket.on('error', () => undefined).pipe(socket); });
  await new Promise<void>((resolve) => { echo.listen(0, '127.0.0.1', resolve); });
  const bound = echo.address();
  proxy = await Proxy.listen(() => `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`);
  const [host, port] = proxy.address.split(':');
  received = '';
  client = connect({ host: host!, port: Number(port) });
  client.on('data', (chunk: Buffer) => { received += chunk.toString(); });
  client.on('error', () => undefined);
  await once(client, 'connect');
});
afterEach(async () => {
  client.destroy();
  await proxy.close();
  echo.close();
});

describe('the proxy', () => {
  it('hands on what is sent, in order, also when it is slow', async () => {
    proxy.mode = { ...CLEAR, delayMs: 5, bytesPerSecond: 100_000 };
    for (const word of ['one ', 'two ', 'three']) client.write(word);
    await expect.poll(() => received).toBe('one two three');
    expect(proxy.counts.delayedBytes).toBe(2 * 'one two three'.length);
  });

  it('drops without a word, and hands on what comes after', async () => {
    proxy.mode = { ...CLEAR, drop: true };
    client.write('lost');
    await expect.poll(() => proxy.counts.droppedBytes).toBe(4);
    proxy.mode = CLEAR;
    client.write('kept');
    await expect.poll(() => received).toBe('kept');
  });

  it('holds back what is sent, and hands it on later although its sender has gone', async () => {
    proxy.mode = { ...CLEAR, holdFrom: (chunk) => chunk.includes('late') };
    const arrived: string[] = [];
    echo.on('connection', (socket: Socket) => { socket.on('data', (chunk: Buffer) => arrived.push(chunk.toString())); });
    const [host, port] = proxy.address.split(':');
    const other = connect({ host: host!, port: Number(port) });
    await once(other, 'connect');
    other.write('first');
    await expect.poll(() => arrived).toEqual(['first']);
    other.write('late');
    await expect.poll(() => proxy.counts.heldBytes).toBe(4);
    other.destroy();
    await once(other, 'close');
    expect(arrived).toEqual(['first']);
    proxy.mode = CLEAR;
    await expect.poll(() => arrived).toEqual(['first', 'late']);
  });

  it('resets: the client sees a broken connection, not an end', async () => {
    client.write('x');
    await expect.poll(() => received).toBe('x');
    const broken = new Promise((resolve) => { client.once('close', resolve); });
    proxy.reset();
    expect(await broken).toBe(true);
    expect(proxy.counts.resets).toBe(2);
  });
});
