/** Cases for a gRPC service: its own messages with fields changed, its bytes changed, its framing changed, and what is no gRPC at all. */
import type { IncomingHttpHeaders } from 'node:http2';
import type { Dice } from '../../support/random.js';
import { chance, hostileString, mutated, mutatedBytes, pick, randomBytes } from './hostile.js';
import { framed, type Answer, type GrpcRequest, type GrpcWire } from './grpc-call.js';
import { rawHttp2, sendRaw } from './raw.js';
import type { Attempt } from './fuzz.js';

export interface FuzzedMethod {
  /** /package.Service/Method */
  readonly path: string;
  /** A good message, or a promising one; also what has side effects that a case needs, such as a blob put. */
  base(dice: Dice): object | Promise<object>;
  encode(message: object): Uint8Array;
  /** Of a stream: several messages a call. */
  readonly streams?: boolean;
  /** The service may keep it open: for so long it is listened to. */
  readonly openMs?: number;
}

/** A ts-proto message type; the generic way round its overloads. */
export function encoder<T>(type: { fromPartial(partial: object): T; encode(message: T): { finish(): Uint8Array } }): (message: object) => Uint8Array {
  return (message) => type.encode(type.fromPartial(message)).finish();
}

export interface GrpcCases {
  readonly wire: GrpcWire;
  readonly address: string;
  readonly methods: readonly FuzzedMethod[];
  /** Who asks; `mustFail`: nobody who may. */
  headers?(dice: Dice): { readonly headers: IncomingHttpHeaders; readonly mustFail: boolean };
}

export async function grpcAttempt({ wire, address, methods, headers }: GrpcCases, dice: Dice): Promise<Attempt> {
  if (chance(dice, 0.05)) {
    const bytes = rawHttp2(dice);
    return { about: `raw ${Buffer.from(bytes.subarray(0, 60)).toString('hex')}`, answer: rawAnswer(await sendRaw(address, bytes, 300)) };
  }
  const method = pick(dice, methods);
  const { headers: who = {}, mustFail = false } = headers?.(dice) ?? {};
  const { body, about, more } = await bodyOf(method, dice);
  const request: GrpcRequest = { path: method.path, body, patienceMs: method.openMs ?? 15_000, headers: { ...who, ...more.headers }, ...('path' in more ? { path: more.path ?? '' } : {}) };
  return { about: `${method.path.split('/').at(-1)} ${about}`, answer: await wire.call(request), mayStayOpen: method.openMs !== undefined, mustFail };
}

export function rawAnswer(text: string): Answer {
  return { grpcStatus: null, httpStatus: null, text, how: 'ended', bytes: text.length };
}

interface Body {
  readonly body: Uint8Array;
  readonly about: string;
  readonly more: { readonly headers?: IncomingHttpHeaders; readonly path?: string };
}

async function bodyOf(method: FuzzedMethod, dice: Dice): Promise<Body> {
  const base = await method.base(dice);
  if (chance(dice, 0.65)) return structured(method, base, dice);
  const good = method.encode(base);
  if (chance(dice, 0.6)) {
    const changed = mutatedBytes(dice, good);
    return { body: framed(changed), about: `bytes ${Buffer.from(changed.subarray(0, 100)).toString('hex')}`, more: {} };
  }
  return misframed(good, dice);
}

function structured(method: FuzzedMethod, base: object, dice: Dice): Body {
  const messages = Array.from({ length: method.streams === true ? 1 + (dice() % 4) : 1 }, () => {
    let message: unknown = base;
    for (let times = 1 + (dice() % 3); times > 0; times -= 1) message = mutated(dice, message);
    return message as object;
  });
  return { body: Buffer.concat(messages.map((message) => framed(method.encode(message)))), about: messages.map(short).join(' + '), more: {} };
}

function misframed(good: Uint8Array, dice: Dice): Body {
  switch (dice() % 8) {
    case 0: return { body: framed(good, pick(dice, [0, 1, 0x7fffffff, 0xffffffff, good.length + 1])), about: 'another length than said', more: {} };
    case 1: return { body: framed(good, good.length, 1), about: 'compressed, it says', more: chance(dice, 0.5) ? { headers: { 'grpc-encoding': pick(dice, ['gzip', 'zstd', 'identity']) } } : {} };
    case 2: return { body: framed(good), about: 'another content type', more: { headers: { 'content-type': pick(dice, ['text/plain', 'application/json', 'application/grpc-web', 'application/grpc+json', '']) } } };
    case 3: return { body: new Uint8Array(), about: 'no message', more: {} };
    case 4: return { body: Buffer.concat([framed(good), framed(good)]), about: 'two messages', more: {} };
    case 5: return { body: randomBytes(dice, dice() % 100), about: 'no frame', more: {} };
    case 6: return { body: framed(good), about: 'another path', more: { path: pick(dice, ['/', '', '//', '/x', `/${encodeURIComponent(Buffer.from(hostileString(dice).slice(0, 50)).toString())}/y`, '/stemma.v1.ControlService/__proto__', '/stemma.v1.TrainerService/Nothing']) } };
    default: return { body: framed(good), about: 'strange headers', more: { headers: { 'grpc-timeout': pick(dice, ['0n', '-1S', '99999999H', 'x', '1u']), 'x-bin-bin': '!!!', 'user-agent': 'x'.repeat(3000) } } };
  }
}

/** For people, cut. */
export function short(value: unknown): string {
  const text = JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner instanceof Uint8Array ? `0x${Buffer.from(inner.subarray(0, 24)).toString('hex')}(${inner.length})`
    : typeof inner === 'string' && inner.length > 120 ? `${inner.slice(0, 60)}…(${inner.length})` : inner)) ?? 'undefined';
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
