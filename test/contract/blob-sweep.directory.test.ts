/** Collecting from a directory beside puts and reads: nothing that was put since goes, whatever the order. */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore, BlobSweep, StoredCopy } from '../../core/ports.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { openDirectorySweep } from '../../services/adapters/blob/directory-sweep.js';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';

const DAY_MS = 86_400_000;
const OLD = new Date(Date.now() - 3 * DAY_MS);
const beforeMs = Date.now() - DAY_MS;

describe('collecting from a blob directory', () => {
  let directory: string;
  let blobs: BlobStore;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'stemma-sweep-'));
    blobs = await openDirectoryBlobs(directory);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
  const fileOf = ({ sha256 }: BlobRef): string => join(directory, sha256.slice(0, 2), sha256);

  async function putOld(text: string): Promise<BlobRef> {
    const ref = await blobs.put(bytesOf(text));
    utimesSync(fileOf(ref), OLD, OLD);
    return ref;
  }

  async function listed(sweep: BlobSweep): Promise<StoredCopy[]> {
    const copies: StoredCopy[] = [];
    for await (const copy of sweep.list()) copies.push(copy);
    return copies;
  }

  async function collectAll(): Promise<number> {
    const sweep = await openDirectorySweep(directory);
    let removed = 0;
    for (const copy of await listed(sweep)) if (copy.putAtMs < beforeMs && (await sweep.remove(copy, beforeMs))) removed += 1;
    await sweep.close();
    return removed;
  }

  it('tells blobs from what interrupted puts left, with their times', async () => {
    const [old, young] = [await putOld('old'), await blobs.put(bytesOf('young'))];
    const leftover = join(directory, old.sha256.slice(0, 2), '.0000.tmp');
    writeFileSync(leftover, 'part');
    utimesSync(leftover, OLD, OLD);
    writeFileSync(join(directory, 'README'), 'not ours');
    const sweep = await openDirectorySweep(directory);
    const copies = await listed(sweep);
    await sweep.close();
    expect(copies.map(({ kind, sha256, bytes }) => [kind, sha256, bytes]).sort()).toEqual([['blob', old.sha256, 3], ['blob', young.sha256, 5], ['unfinished', '', 4]].sort());
    expect(copies.filter(({ putAtMs }) => putAtMs < beforeMs).map(({ sha256 }) => sha256).sort()).toEqual(['', old.sha256]);
    expect(await collectAll()).toBe(2);
    expect([await blobs.has(old), await blobs.has(young)]).toEqual([false, true]);
    expect(readdirSync(join(directory, '.collecting'))).toEqual([]);
  });

  it('keeps whatever is put while it works', async () => {
    for (let round = 0; round < 5; round += 1) {
      const texts = Array.from({ length: 120 }, (_, index) => `round ${round} blob ${index}`);
      const refs: BlobRef[] = [];
      for (const text of texts) refs.push(await putOld(text));
      const other = await openDirectoryBlobs(directory);
      const again = texts.filter((_, index) => index % 2 === round % 2);
      const lost: string[] = [];
      const put = async (text: string, store: BlobStore): Promise<void> => {
        const ref = await store.put(bytesOf(text));
        // From here on it must be there for every reader, at every moment.
        for (let look = 0; look < 5; look += 1) await blobs.get(ref).catch(() => lost.push(text));
      };
      const [removed] = await Promise.all([collectAll(), ...again.map((text, index) => put(text, index % 3 ? blobs : other))]);
      expect(lost).toEqual([]);
      for (const [index, ref] of refs.entries()) expect(await blobs.has(ref), texts[index]).toBe(again.includes(texts[index]!));
      expect(removed).toBeGreaterThanOrEqual(texts.length - again.length);
    }
  });

  it('puts back what was put again after it was listed', async () => {
    const ref = await putOld('listed');
    const sweep = await openDirectorySweep(directory);
    const [copy] = await listed(sweep);
    await blobs.put(bytesOf('listed'));
    expect(await sweep.remove(copy!, beforeMs)).toBe(false);
    expect([...await blobs.get(ref)]).toEqual([...bytesOf('listed')]);
    rmSync(fileOf(ref));
    expect(await sweep.remove(copy!, beforeMs)).toBe(false);
    await sweep.close();
  });

  it('that died half-way leaves every blob readable, and the next one settles it', async () => {
    const [held, putAnew] = [await putOld('held'), await putOld('put anew')];
    mkdirSync(join(directory, '.collecting'), { recursive: true });
    for (const ref of [held, putAnew]) renameSync(fileOf(ref), join(directory, '.collecting', ref.sha256));
    await blobs.put(bytesOf('put anew'));
    for (const ref of [held, putAnew]) {
      expect(await blobs.has(ref)).toBe(true);
      await blobs.get(ref);
    }
    await (await openDirectorySweep(directory)).close();
    expect(readdirSync(join(directory, '.collecting'))).toEqual([]);
    expect(statSync(fileOf(held)).mtimeMs).toBeLessThan(beforeMs);
    expect(statSync(fileOf(putAnew)).mtimeMs).toBeGreaterThan(beforeMs);
  });

  it('is one at a time', async () => {
    const sweep = await openDirectorySweep(directory);
    await expect(openDirectorySweep(directory)).rejects.toMatchObject({ boundary: 'blob', code: 'LOCKED' });
    await sweep.close();
    await (await openDirectorySweep(directory)).close();
  });
});
