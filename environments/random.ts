/**
 * Counter-based randomness: a stream is a pure function of its key, so the same task id is always the same task.
 * Key hash: four 32-bit lanes of multiply-xor mixing (the public-domain cyrb128); stream: sfc32 (PractRand's small fast counter).
 */

export interface Random {
  /** Integer in [0, bound). */
  below(bound: number): number;
  /** Integer in [low, high], both ends included. */
  between(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
  /** A new array. */
  shuffled<T>(items: readonly T[]): T[];
  /** `count` different items, in random order. */
  sample<T>(items: readonly T[], count: number): T[];
}

export function hashKey(key: string): readonly [number, number, number, number] {
  let h1 = 1779033703, h2 = 3144134277, h3 = 1013904242, h4 = 2773480762;
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    h1 = h2 ^ Math.imul(h1 ^ unit, 597399067);
    h2 = h3 ^ Math.imul(h2 ^ unit, 2869860233);
    h3 = h4 ^ Math.imul(h3 ^ unit, 951274213);
    h4 = h1 ^ Math.imul(h4 ^ unit, 2716044179);
  }
  h1 = Math.imul(h3 ^ (h1 >>> 18), 597399067);
  h2 = Math.imul(h4 ^ (h2 >>> 22), 2869860233);
  h3 = Math.imul(h1 ^ (h3 >>> 17), 951274213);
  h4 = Math.imul(h2 ^ (h4 >>> 19), 2716044179);
  return [(h1 ^ h2 ^ h3 ^ h4) >>> 0, (h2 ^ h1) >>> 0, (h3 ^ h1) >>> 0, (h4 ^ h1) >>> 0];
}

export function randomOf(...key: readonly (string | number)[]): Random {
  let [a, b, c, d] = hashKey(key.join('\u0000')) as [number, number, number, number];
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  const below = (bound: number): number => Math.floor((next() / 4294967296) * bound);
  const shuffled = <T>(items: readonly T[]): T[] => {
    const out = items.slice();
    for (let i = out.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  };
  return {
    below,
    between: (low, high) => low + below(high - low + 1),
    pick: (items) => {
      if (items.length === 0) throw new RangeError('pick from an empty list');
      return items[below(items.length)] as (typeof items)[number];
    },
    shuffled,
    sample: (items, count) => shuffled(items).slice(0, count),
  };
}
