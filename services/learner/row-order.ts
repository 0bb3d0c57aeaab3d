/** Which dataset rows come after `consumed` rows: each pass is a seeded shuffle; batches run across pass boundaries. */
import { deriveSeed } from '../runtime/seed.js';

export interface RowPick {
  readonly row: number;
  readonly pass: number;
}

const shuffles = new Map<string, Uint32Array>();

export function rowOrder(seed: bigint, stage: string, rows: number, at: { readonly batchSize: number; readonly consumed: number }): RowPick[] {
  return Array.from({ length: at.batchSize }, (_, i) => {
    const index = at.consumed + i;
    const pass = Math.floor(index / rows);
    return { row: shuffle(seed, stage, rows, pass)[index % rows] ?? 0, pass };
  });
}

/** Fisher–Yates driven by splitmix64; the newest two passes are kept. */
function shuffle(seed: bigint, stage: string, rows: number, pass: number): Uint32Array {
  const key = `${seed}/${stage}/${rows}/${pass}`;
  const known = shuffles.get(key);
  if (known) return known;
  const order = Uint32Array.from({ length: rows }, (_, i) => i);
  let state = deriveSeed([seed, stage, 'rows', pass]);
  for (let i = rows - 1; i > 0; i--) {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    const j = Number((z ^ (z >> 31n)) % BigInt(i + 1));
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  if (shuffles.size > 1) shuffles.delete(shuffles.keys().next().value ?? '');
  shuffles.set(key, order);
  return order;
}
