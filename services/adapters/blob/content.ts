/** What a blob's name says about its content; the same for every store. */
import { StemmaError } from '../../../core/errors.js';
import type { BlobRef } from '../../../proto/gen/stemma/v1/events.js';
import { sha256Hex } from '../../runtime/canonical-json.js';

const SHA256_HEX = /^[0-9a-f]{64}$/;

export function refOf(bytes: Uint8Array): BlobRef {
  return { sha256: sha256Hex(bytes), length: BigInt(bytes.length) };
}

/** `<first 2 hex>/<sha256>`, below a store's root. INVALID if that is no blob id. */
export function pathOf({ sha256 }: Pick<BlobRef, 'sha256'>): string {
  if (!SHA256_HEX.test(sha256)) {
    throw new StemmaError('blob', 'INVALID', `"${sha256}" is no blob id`, 'A blob id is the lower-case hex sha256 of its content.');
  }
  return `${sha256.slice(0, 2)}/${sha256}`;
}

/** The blob id of such a path, or ''. */
export function idAt(path: string): string {
  const [shard = '', name = '', ...more] = path.split('/');
  return SHA256_HEX.test(name) && shard === name.slice(0, 2) && more.length === 0 ? name : '';
}

/** CORRUPT unless `bytes`, read at `where`, are what `ref` names. */
export function verified(bytes: Uint8Array, ref: BlobRef, where: string): Uint8Array {
  if (BigInt(bytes.length) === ref.length && sha256Hex(bytes) === ref.sha256) return bytes;
  throw new StemmaError('blob', 'CORRUPT', `blob ${where} (${bytes.length} bytes) is not the content it is named after (${ref.length} bytes)`,
    'It was altered or cut: put a good copy of it in its place.');
}
