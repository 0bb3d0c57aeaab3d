/** Bytes on a socket that are no request, or almost one. */
import { connect } from 'node:net';
import type { Dice } from '../../support/random.js';
import { hostileString, pick, randomBytes } from './hostile.js';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));

// eslint-disable-next-line max-params -- the fields of a frame, in their order
function frame(type: number, flags: number, stream: number, payload: Uint8Array, says = payload.length): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(says & 0xffffff, 0, 3);
  head.writeUInt8(type & 0xff, 3);
  head.writeUInt8(flags & 0xff, 4);
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

/** HTTP/2 gone wrong: frames cut, unknown, too long, out of turn, opened and reset by the hundred. */
export function rawHttp2(dice: Dice): Uint8Array {
  const frames = (count: number): Buffer[] => Array.from({ length: count }, () => {
    const payload = randomBytes(dice, dice() % 60);
    return frame(dice() % 12, dice(), dice() % 20, payload, dice() % 4 === 0 ? dice() : payload.length);
  });
  switch (dice() % 7) {
    case 0: return randomBytes(dice, 1 + (dice() % 3000));
    case 1: return PREFACE.subarray(0, 1 + (dice() % PREFACE.length));
    case 2: return Buffer.concat([PREFACE, SETTINGS, ...frames(1 + (dice() % 20))]);
    case 3: return Buffer.concat([PREFACE, SETTINGS, frame(1, 4, 1, randomBytes(dice, 40), 0xffffff)]);
    case 4: return Buffer.concat([PREFACE, SETTINGS, ...Array.from({ length: 200 }, () => SETTINGS)]);
    case 5: return Buffer.concat([PREFACE, SETTINGS, ...Array.from({ length: 200 }, (_, at) => [frame(1, 4, 2 * at + 1, Buffer.from([0x83, 0x86, 0x84])), frame(3, 0, 2 * at + 1, Buffer.alloc(4))]).flat()]);
    default: return Buffer.concat([PREFACE, SETTINGS, frame(1, 0, 1, Buffer.from([0x83, 0x86, 0x84])), ...Array.from({ length: 100 }, () => frame(9, 0, 1, randomBytes(dice, 50)))]);
  }
}

/** HTTP/1 gone wrong. */
export function rawHttp1(dice: Dice, path: string, token: string): Uint8Array {
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n`;
  switch (dice() % 10) {
    case 0: return randomBytes(dice, 1 + (dice() % 3000));
    case 1: return Buffer.from(`${head}content-length: ${pick(dice, ['-1', '99999999999999999999', '0x10', '1e3', ' 5', '5, 6'])}\r\n\r\n{}`);
    case 2: return Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n${pick(dice, ['FFFFFFFFFFFFFFFF', '-1', 'zz', '5;x=', '2'])}\r\n{}`);
    case 3: return Buffer.from(`${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`);
    case 4: return Buffer.from(`${head}x-long: ${'y'.repeat(20_000)}\r\n\r\n`);
    case 5: return Buffer.from(`${head}${Array.from({ length: 3000 }, (_, at) => `h${at}: 1\r\n`).join('')}\r\n`);
    case 6: return Buffer.from(`${pick(dice, ['GET', 'PUT', 'DELETE', 'CONNECT', 'TRACE', 'X'.repeat(500)])} ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    case 7: return Buffer.from(`POST ${hostileString(dice)} HTTP/${pick(dice, ['1.1', '0.9', '9.9'])}\r\n\r\n`, 'latin1');
    case 8: return Buffer.from(`${head}content-type: text/plain\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b`, 'latin1');
    default: return Buffer.from(`${head}expect: 100-continue\r\nupgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 4\r\n\r\n{}`);
  }
}

/** What came back until the peer closed, or until enough was waited; then the connection is cut. */
export function sendRaw(address: string, bytes: Uint8Array, patienceMs: number): Promise<string> {
  const at = address.lastIndexOf(':');
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(Number(address.slice(at + 1)), address.slice(0, at), () => socket.end(bytes));
    const patience = setTimeout(() => socket.destroy(), patienceMs);
    socket.on('data', (data: Buffer) => { if (text.length < 20_000) text += data.toString('latin1'); });
    socket.on('error', () => undefined);
    socket.once('close', () => { clearTimeout(patience); resolve(text); });
  });
}
