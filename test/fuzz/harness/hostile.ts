/** Values that programs trip over, and what makes a good message a bad one: field by field, and byte by byte. All from seeded dice. */
import { unit, type Dice } from '../../support/random.js';

export function pick<T>(dice: Dice, from: readonly T[]): T {
  return from[dice() % from.length]!;
}

export function chance(dice: Dice, share: number): boolean {
  return unit(dice) < share;
}

export function randomBytes(dice: Dice, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => dice() & 0xff);
}

const SMALL_NUMBERS = [0, 1, 2, 3, 7, 63, 64, 65, 127, 128, 255, 256, 1000, 65_535, 65_536] as const;
/** Within u32, so that a message can carry them; the rest is bytes. */
const U32 = [...SMALL_NUMBERS, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff] as const;
const U64 = [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n] as const;
const REALS = [0, -0, 1, -1, 0.5, 1e-45, 3e38, -3e38, Infinity, -Infinity, NaN, 2 ** 53] as const;

const STRINGS: readonly string[] = [
  '', ' ', '\0', 'a\0b', '.', '..', '../../../../etc/passwd', '/etc/passwd', '/dev/zero', '/proc/self/environ', 'C:\\Windows\\win.ini', '%2e%2e%2f', 'a/b', 'file:///etc/passwd',
  '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__proto__.polluted', 'constructor.prototype.polluted', 'null', 'undefined', 'NaN', '-1', '1e999', '007',
  "'; DROP TABLE events; --", '${jndi:ldap://x}', '{{7*7}}', '{{ cycler.__init__.__globals__ }}', '$(id)', '`id`', '\r\nx-injected: 1', '\u202e', '\ufeff', '\ud800', '💥'.repeat(50), 'é'.repeat(100),
  'x'.repeat(100), 'x'.repeat(5000), 'a'.repeat(64), '0'.repeat(64), 'F'.repeat(64), '{}', '[]', '"', '{"a":', '1', '-0', '1e400', 'true', '{"__proto__":{"polluted":1}}',
  '['.repeat(2000), `${'['.repeat(20_000)}${']'.repeat(20_000)}`, `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`,
];

export function hostileString(dice: Dice): string {
  if (chance(dice, 0.2)) return Buffer.from(randomBytes(dice, dice() % 200)).toString('latin1');
  return pick(dice, STRINGS);
}

function hostileBytes(dice: Dice, good: Uint8Array): Uint8Array {
  switch (dice() % 5) {
    case 0: return new Uint8Array();
    case 1: return randomBytes(dice, dice() % 70);
    case 2: return Buffer.concat([good, good, good]);
    case 3: return good.slice(0, dice() % (good.length + 1));
    default: return mutatedBytes(dice, good);
  }
}

/** A value of the same type as `good`, which a message of that shape can carry. */
function hostileLeaf(dice: Dice, good: unknown): unknown {
  if (typeof good === 'string') return hostileString(dice);
  if (typeof good === 'bigint') return pick(dice, U64);
  if (typeof good === 'boolean') return !good;
  if (typeof good === 'number') return Number.isInteger(good) ? pick(dice, U32) : pick(dice, REALS);
  if (good instanceof Uint8Array) return hostileBytes(dice, good);
  return good;
}

/** `good` with one thing in it changed, left out or repeated. Keys that start with $ are the generated code's own. */
export function mutated(dice: Dice, good: unknown): unknown {
  if (Array.isArray(good)) return mutatedArray(dice, good as unknown[]);
  if (typeof good !== 'object' || good === null || good instanceof Uint8Array) return hostileLeaf(dice, good);
  const keys = Object.keys(good).filter((key) => !key.startsWith('$'));
  if (keys.length === 0) return good;
  const key = pick(dice, keys);
  const value = (good as Record<string, unknown>)[key];
  const isObject = typeof value === 'object' && !(value instanceof Uint8Array) && !Array.isArray(value);
  return { ...good, [key]: isObject && chance(dice, 0.15) ? undefined : mutated(dice, value) };
}

function mutatedArray(dice: Dice, good: readonly unknown[]): unknown[] {
  const [first] = good;
  switch (dice() % 4) {
    case 0: return [];
    case 1: return good.flatMap((each) => [each, each]);
    case 2: return first === undefined ? [] : Array.from({ length: dice() % 300 }, () => first);
    default: return good.map((each, index) => (index === dice() % good.length ? mutated(dice, each) : each));
  }
}

const VARINTS = ['ffffffffffffffffff01', 'ffffffff0f', '80808080808080808000', 'ffffffffffffffffffffffff', '00', '01'].map((hex) => Buffer.from(hex, 'hex'));

/** Of an encoded message, of a file, of anything: what a broken or a hostile peer sends. */
export function mutatedBytes(dice: Dice, good: Uint8Array): Uint8Array {
  const at = good.length === 0 ? 0 : dice() % good.length;
  const head = good.subarray(0, at);
  const tail = good.subarray(at);
  switch (dice() % 9) {
    case 0: return Buffer.concat([head, Buffer.from([dice() & 0xff]), tail.subarray(1)]);
    case 1: return Buffer.from(head);
    case 2: return Buffer.concat([head, pick(dice, VARINTS), tail]);
    case 3: return Buffer.concat([head, randomBytes(dice, 1 + (dice() % 30)), tail]);
    case 4: return Buffer.concat([head, tail.subarray(Math.min(tail.length, 1 + (dice() % 8)))]);
    case 5: return Buffer.concat([good, good]);
    case 6: return Buffer.alloc(1 + (dice() % 5000), 0x0b | ((1 + (dice() % 15)) << 3)); // groups in groups
    case 7: return nested(dice, 10 + (dice() % 200));
    default: return Buffer.concat([head, Buffer.from([0xc3, 0x28, 0xff, 0xfe, 0xed, 0xa0, 0x80]), tail]); // no UTF-8
  }
}

/** A field within itself, so deep. */
function nested(dice: Dice, depth: number): Uint8Array {
  const tag = ((1 + (dice() % 15)) << 3) | 2;
  let inside = Buffer.from([0x08, 0x01]);
  for (let level = 0; level < depth; level += 1) {
    const length = inside.length < 128 ? [inside.length] : [(inside.length & 0x7f) | 0x80, inside.length >> 7];
    inside = Buffer.concat([Buffer.from([tag, ...length]), inside]);
  }
  return inside;
}
