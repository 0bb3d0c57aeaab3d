/** Content-addressed bytes in memory, for callers that decide themselves when a put or a get happens. */
import { StemmaError } from '../../core/errors.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { sha256Hex } from '../../services/runtime/canonical-json.js';

export class MemoryBlobs {
  private readonly damaged = new Set<string>();

  constructor(private readonly contents = new Map<string, Uint8Array>()) {}

  put(bytes: Uint8Array): BlobRef {
    const sha256 = sha256Hex(bytes);
    this.contents.set(sha256, bytes);
    return { sha256, length: BigInt(bytes.length) };
  }

  get({ sha256 }: BlobRef): Uint8Array {
    const bytes = this.contents.get(sha256);
    if (bytes === undefined) throw new StemmaError('blob', 'NOT_FOUND', `blob ${sha256} is missing`, 'Restore it.');
    if (this.damaged.has(sha256)) throw new StemmaError('blob', 'CORRUPT', `blob ${sha256} does not hash to its name`, 'Restore it from a copy.');
    return bytes;
  }

  has({ sha256 }: BlobRef): boolean {
    return this.contents.has(sha256);
  }

  damage({ sha256 }: BlobRef): void {
    this.damaged.add(sha256);
  }

  copy(): MemoryBlobs {
    return new MemoryBlobs(new Map(this.contents));
  }
}
