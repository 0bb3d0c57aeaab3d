/** What every BlobStore keeps. A store is held to it by `blobStoreContract(name, createHarness)`. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore } from '../../core/ports.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';

/** Storage of one test, and hands that reach behind the store's back. */
export interface BlobHarness {
  open(): Promise<BlobStore>;
  remove(ref: BlobRef): Promise<void>;
  overwrite(ref: BlobRef, bytes: Uint8Array): Promise<void>;
  dispose(): Promise<void>;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export function blobStoreContract(name: string, createHarness: () => Promise<BlobHarness>): void {
  describe(`blob store: ${name}`, () => {
    let harness: BlobHarness;
    let blobs: BlobStore;
    beforeEach(async () => {
      harness = await createHarness();
      blobs = await harness.open();
    });
    afterEach(() => harness.dispose());
    const subject = () => ({ harness, blobs });

    describe('content', () => content(subject));
    describe('damage', () => damage(subject));
  });
}

type Subjects = () => { readonly harness: BlobHarness; readonly blobs: BlobStore };

function content(subject: Subjects): void {
  it('is named by its sha256 and length, and comes back, also from another opening', async () => {
    const { harness, blobs } = subject();
    const bytes = bytesOf('a blob');
    const ref = await blobs.put(bytes);
    expect(ref).toEqual({ sha256: sha256(bytes), length: 6n });
    expect(await blobs.has(ref)).toBe(true);
    expect([...await (await harness.open()).get(ref)]).toEqual([...bytes]);
  });

  it('may be empty, or large', async () => {
    const { blobs } = subject();
    const empty = await blobs.put(new Uint8Array());
    expect((await blobs.get(empty)).length).toBe(0);
    const large = new Uint8Array(5 * 1024 * 1024).map((_, index) => index % 253);
    expect(sha256(await blobs.get(await blobs.put(large)))).toBe(sha256(large));
  });

  it('is stored once, however often and however concurrently it is put', async () => {
    const { harness, blobs } = subject();
    const other = await harness.open();
    const refs = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 ? blobs : other).put(bytesOf('same'))));
    expect(new Set(refs.map((ref) => ref.sha256)).size).toBe(1);
    expect(await blobs.put(bytesOf('same'))).toEqual(refs[0]);
    expect([...await blobs.get(refs[0]!)]).toEqual([...bytesOf('same')]);
  });

  it('of many small blobs put at once is all there', async () => {
    const { blobs } = subject();
    const texts = Array.from({ length: 300 }, (_, index) => `blob ${index}`);
    const refs = await Promise.all(texts.map((text) => blobs.put(bytesOf(text))));
    const read = await Promise.all(refs.map((ref) => blobs.get(ref)));
    expect(read.map((bytes) => new TextDecoder().decode(bytes))).toEqual(texts);
  });
}

function damage(subject: Subjects): void {
  const bytes = bytesOf('what was written');

  it('a missing blob is NOT_FOUND, by name', async () => {
    const { harness, blobs } = subject();
    const ref = await blobs.put(bytes);
    await harness.remove(ref);
    expect(await blobs.has(ref)).toBe(false);
    await expect(blobs.get(ref)).rejects.toMatchObject({ boundary: 'blob', code: 'NOT_FOUND', message: expect.stringContaining(ref.sha256) });
    await expect(blobs.get({ sha256: sha256(bytesOf('never put')), length: 9n })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each([
    ['altered', bytesOf('what was altered')], ['cut', bytes.subarray(0, 5)], ['emptied', new Uint8Array()], ['extended', bytesOf('what was written!')],
  ])('an %s blob is CORRUPT, by name, and putting it again heals it', async (_what, bad) => {
    const { harness, blobs } = subject();
    const ref = await blobs.put(bytes);
    await harness.overwrite(ref, bad);
    await expect(blobs.get(ref)).rejects.toMatchObject({ boundary: 'blob', code: 'CORRUPT', retriable: false, message: expect.stringContaining(ref.sha256) });
    await blobs.put(bytes);
    expect([...await blobs.get(ref)]).toEqual([...bytes]);
  });

  it('a reference with the wrong length is not that blob', async () => {
    const { blobs } = subject();
    const ref = await blobs.put(bytes);
    const wrong = { ...ref, length: ref.length + 1n };
    expect(await blobs.has(wrong)).toBe(false);
    await expect(blobs.get(wrong)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each(['', 'abc', '../../../etc/passwd', 'A'.repeat(64), `${'a'.repeat(63)}/`, `${'a'.repeat(64)}\n`])('"%s" names no blob', async (id) => {
    const { blobs } = subject();
    for (const attempt of [blobs.get({ sha256: id, length: 1n }), blobs.has({ sha256: id, length: 1n })]) {
      await expect(attempt).rejects.toMatchObject({ boundary: 'blob', code: 'INVALID' });
    }
  });
}
