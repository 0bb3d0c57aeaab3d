/** The directory store's contract over a real S3-compatible server, and what only a bucket must keep. */
import { randomBytes } from 'node:crypto';
import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobStore, StoredCopy } from '../../core/ports.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import type { Bucket } from '../../services/runtime/blob-place.js';
import { openBlobs, openSweep } from '../../services/runtime/open-blobs.js';
import { describeWithMinio, openRealMinio, type RealMinio } from '../support/real-minio.js';
import { blobStoreContract } from './blob-store.cases.js';

const keyOf = ({ prefix }: Bucket, { sha256 }: BlobRef): string => `${prefix}/${sha256.slice(0, 2)}/${sha256}`;
const HOUR_MS = 3_600_000;

describeWithMinio('over an S3-compatible server', () => {
  let minio: RealMinio;
  beforeAll(async () => { minio = await openRealMinio(); }, 90_000);
  afterAll(() => minio.stop());

  async function versionsOf(bucket: Bucket, ref: BlobRef): Promise<number> {
    const { Versions = [] } = await minio.client.send(new ListObjectVersionsCommand({ Bucket: bucket.bucket, Prefix: keyOf(bucket, ref) }));
    return Versions.length;
  }

  describe.each([true, false])('a bucket (versioned: %s)', (versioned) => {
    blobStoreContract('s3', async () => {
      const { place, bucket } = await minio.newBucket({ versioned });
      const of = (ref: BlobRef) => ({ Bucket: bucket.bucket, Key: keyOf(bucket, ref) });
      return {
        open: () => openBlobs(place),
        remove: async (ref) => { await minio.client.send(new DeleteObjectCommand(of(ref))); },
        overwrite: async (ref, bytes) => { await minio.client.send(new PutObjectCommand({ ...of(ref), Body: bytes })); },
        dispose: () => Promise.resolve(),
      };
    });
  });

  describe('the S3 blob store', () => {
    it('writes a blob once while it is young', async () => {
      const { place, bucket } = await minio.newBucket();
      const blobs = await openBlobs(place);
      const ref = await blobs.put(randomBytes(100));
      await (await openBlobs(place)).put(await blobs.get(ref));
      expect(await versionsOf(bucket, ref)).toBe(1);
    });

    it('says what is wrong with its bucket, its credentials and its server', async () => {
      const { place } = await minio.newBucket();
      await expect(openBlobs(place.replace(/s3:\/\/[^/]+/, 's3://not-there'))).rejects.toMatchObject({ boundary: 'blob', code: 'INVALID', message: expect.stringContaining('not-there') });
      await expect(openBlobs(place.replace(/127.0.0.1:\d+/, '127.0.0.1:1'))).rejects.toMatchObject({ boundary: 'blob', code: 'UNAVAILABLE', retriable: true });
      const secret = process.env['AWS_SECRET_ACCESS_KEY'];
      process.env['AWS_SECRET_ACCESS_KEY'] = 'wrong-secret';
      try {
        await expect(openBlobs(place)).rejects.toMatchObject({ boundary: 'blob', code: 'INVALID', message: expect.not.stringContaining('wrong-secret'), remedy: expect.stringContaining('credentials') });
      } finally {
        process.env['AWS_SECRET_ACCESS_KEY'] = secret;
      }
    });
  });

  describe('collecting from a bucket', () => {
    async function listed(place: string): Promise<StoredCopy[]> {
      const sweep = await openSweep(place);
      const copies: StoredCopy[] = [];
      for await (const copy of sweep.list()) copies.push(copy);
      await sweep.close();
      return copies;
    }
    const names = (copies: readonly StoredCopy[], kind: StoredCopy['kind']): string[] => copies.filter((copy) => copy.kind === kind).map(({ sha256 }) => sha256).sort();

    async function stored(blobs: BlobStore, count: number): Promise<BlobRef[]> {
      return Promise.all(Array.from({ length: count }, () => blobs.put(randomBytes(8))));
    }

    it('lists every copy once, also over several pages, and tells replaced ones', async () => {
      const { place, bucket } = await minio.newBucket();
      const refs = await stored(await openBlobs(place), 1_010);
      const again = refs[0]!;
      await minio.client.send(new PutObjectCommand({ Bucket: bucket.bucket, Key: keyOf(bucket, again), Body: randomBytes(8) }));
      const copies = await listed(place);
      expect(names(copies, 'blob')).toEqual(refs.map(({ sha256 }) => sha256).sort());
      expect(names(copies, 'replaced')).toEqual([again.sha256]);
      expect(copies.every(({ putAtMs }) => Math.abs(putAtMs - Date.now()) < HOUR_MS)).toBe(true);
    }, 60_000);

    it('removes the copy that was listed: one put since stays', async () => {
      const { place, bucket } = await minio.newBucket();
      const blobs = await openBlobs(place);
      const [gone, renewed] = (await stored(blobs, 2)) as [BlobRef, BlobRef];
      const copies = await listed(place);
      // What a put does with a copy it no longer trusts.
      await minio.client.send(new PutObjectCommand({ Bucket: bucket.bucket, Key: keyOf(bucket, renewed), Body: await blobs.get(renewed) }));
      const sweep = await openSweep(place);
      for (const copy of copies) await sweep.remove(copy, Date.now());
      expect(await blobs.has(gone)).toBe(false);
      expect(renewed).toEqual(await blobs.put(await blobs.get(renewed)));
      expect(names(await listed(place), 'blob')).toEqual([renewed.sha256]);
      expect(sweep.minimumAgeMs).toBeGreaterThan(12 * HOUR_MS);
      await sweep.close();
    });

    it('is refused where the bucket keeps no versions', async () => {
      const { place } = await minio.newBucket({ versioned: false });
      await expect(openSweep(place)).rejects.toMatchObject({ boundary: 'blob', code: 'INVALID', remedy: expect.stringContaining('versioning') });
    });
  });
});
