import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import { canMount, mountSmallDisk } from '../support/small-disk.js';
import { blobStoreContract } from './blob-store.cases.js';

const newDirectory = (): string => mkdtempSync(join(tmpdir(), 'stemma-blobs-'));
const fileOf = (directory: string, { sha256 }: BlobRef): string => join(directory, sha256.slice(0, 2), sha256);

blobStoreContract('directory', () => {
  const directory = newDirectory();
  return Promise.resolve({
    open: () => openDirectoryBlobs(directory),
    remove: (ref) => Promise.resolve(rmSync(fileOf(directory, ref))),
    overwrite: (ref, bytes) => Promise.resolve(writeFileSync(fileOf(directory, ref), bytes)),
    dispose: () => Promise.resolve(rmSync(directory, { recursive: true, force: true })),
  });
});

describe('the directory blob store', () => {
  it('makes its directory and leaves nothing but blobs in it', async () => {
    const directory = newDirectory();
    try {
      const blobs = await openDirectoryBlobs(join(directory, 'deep', 'er'));
      const refs = await Promise.all([1, 2, 3].map((size) => blobs.put(new Uint8Array(size))));
      const files = readdirSync(join(directory, 'deep', 'er'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      expect(files.map((entry) => entry.name).sort()).toEqual(refs.map((ref) => ref.sha256).sort());
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('says which path it cannot use', async () => {
    const directory = newDirectory();
    try {
      writeFileSync(join(directory, 'taken'), '');
      await expect(openDirectoryBlobs(join(directory, 'taken', 'blobs'))).rejects.toMatchObject({ boundary: 'blob', message: expect.stringContaining('taken') });
      const blobs = await openDirectoryBlobs(join(directory, 'blobs'));
      const ref = await blobs.put(randomBytes(10));
      rmSync(fileOf(join(directory, 'blobs'), ref));
      mkdirSync(fileOf(join(directory, 'blobs'), ref));
      await expect(blobs.get(ref)).rejects.toMatchObject({ message: expect.stringContaining(ref.sha256) });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.skipIf(!canMount())('reports a full disk, leaves no part of the blob, and goes on when there is room (needs the right to mount)', async () => {
    const disk = mountSmallDisk(512);
    try {
      writeFileSync(join(disk.directory, 'ballast'), Buffer.alloc(300_000));
      const blobs = await openDirectoryBlobs(join(disk.directory, 'blobs'));
      const small = await blobs.put(randomBytes(1_000));
      const large = randomBytes(250_000);
      await expect(blobs.put(large)).rejects.toMatchObject({ boundary: 'blob', code: 'DISK_FULL', message: expect.stringContaining(disk.directory) });
      const files = readdirSync(join(disk.directory, 'blobs'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      expect(files.map((entry) => entry.name)).toEqual([small.sha256]);
      rmSync(join(disk.directory, 'ballast'));
      const ref = await blobs.put(large);
      expect(large.equals(await blobs.get(ref))).toBe(true);
    } finally {
      disk.unmount();
    }
  });
});
