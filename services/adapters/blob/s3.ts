/**
 * Blobs in a bucket: `[prefix/]<first 2 hex>/<sha256>`. The only importer of the AWS SDK.
 *
 * The server checks a put against its sha256 and keeps that checksum; content is verified here on every get all the same.
 * A put trusts a copy only with that checksum and younger than 12 hours; else it writes again. So it heals what was altered, and
 * what a put has vouched for is never among the copies that a collector may take (docs/decisions/blobs-and-gc.md).
 */
import {
  DeleteObjectCommand, GetBucketVersioningCommand, GetObjectCommand, HeadBucketCommand, HeadObjectCommand, ListObjectVersionsCommand,
  PutObjectCommand, S3Client, type ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';
import { StemmaError } from '../../../core/errors.js';
import type { BlobStore, BlobSweep, StoredCopy } from '../../../core/ports.js';
import type { BlobRef } from '../../../proto/gen/stemma/v1/events.js';
import type { Bucket } from '../../runtime/blob-place.js';
import { idAt, pathOf, refOf, verified } from './content.js';
import { limiter } from './limiter.js';
import { s3Error, statusOf } from './s3-errors.js';

const HOUR_MS = 3_600_000;
const RENEW_AFTER_MS = 12 * HOUR_MS;
/** An hour for clocks that differ and puts that are under way. */
const MINIMUM_AGE_MS = RENEW_AFTER_MS + HOUR_MS;
/** Below the SDK's number of sockets, so that a request's time-out does not run while it waits for one. */
const AT_ONCE = 32;
const CONNECT_TIMEOUT_MS = 5_000;
const SILENCE_TIMEOUT_MS = 60_000;

/** INVALID if the bucket is not there or refuses us. */
export async function openS3Blobs(place: Bucket): Promise<BlobStore> {
  const { client, Bucket, keyOf, ask } = connect(place);
  const inTurn = limiter(AT_ONCE);
  await ask('', () => client.send(new HeadBucketCommand({ Bucket })));

  /** What the store says of a blob; undefined if it is not there. */
  async function head(Key: string) {
    try {
      return await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  async function write(Key: string, ref: BlobRef, bytes: Uint8Array): Promise<void> {
    const checksum = Buffer.from(ref.sha256, 'hex').toString('base64');
    const there = await head(Key);
    const isYoung = Date.now() - (there?.LastModified?.getTime() ?? 0) < RENEW_AFTER_MS;
    if (isYoung && there?.ChecksumSHA256 === checksum && there.ContentLength === bytes.length) return;
    await client.send(new PutObjectCommand({ Bucket, Key, Body: bytes, ContentLength: bytes.length, ChecksumSHA256: checksum }));
  }

  return {
    async put(bytes) {
      const ref = refOf(bytes);
      const Key = keyOf(ref);
      await inTurn(() => ask(Key, () => write(Key, ref, bytes)));
      return ref;
    },
    async get(ref) {
      const Key = keyOf(ref);
      const bytes = await inTurn(() => ask(Key, async () => (await client.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToByteArray()));
      return verified(bytes ?? new Uint8Array(), ref, Key);
    },
    async has(ref) {
      const Key = keyOf(ref);
      const there = await inTurn(() => ask(Key, () => head(Key)));
      return there !== undefined && BigInt(there.ContentLength ?? -1) === ref.length;
    },
  };
}

/** INVALID unless the bucket keeps versions: only a version can be deleted without deleting what is put at the same time. */
export async function openS3Sweep(place: Bucket): Promise<BlobSweep> {
  const connection = connect(place);
  const { client, Bucket, prefix, keyOf, ask } = connection;
  const versioning = await ask('', () => client.send(new GetBucketVersioningCommand({ Bucket })));
  if (versioning.Status !== 'Enabled') {
    client.destroy();
    throw new StemmaError('blob', 'INVALID', `bucket ${Bucket} keeps no versions, so nothing can be collected from it safely`, 'Enable versioning on the bucket.');
  }
  return {
    minimumAgeMs: MINIMUM_AGE_MS,
    async* list() {
      let lastKey = '';
      for await (const { Key = '', VersionId = '', Size = 0, LastModified } of versions(connection)) {
        const sha256 = Key.startsWith(prefix) ? idAt(Key.slice(prefix.length)) : '';
        // A key's versions come newest first.
        if (sha256 !== '') yield { kind: Key === lastKey ? 'replaced' : 'blob', sha256, bytes: Size, putAtMs: LastModified?.getTime() ?? Date.now(), handle: VersionId };
        lastKey = Key;
      }
    },
    async remove(copy: StoredCopy) {
      // A version never changes: one that was put since is another one.
      const Key = keyOf(copy);
      await ask(Key, () => client.send(new DeleteObjectCommand({ Bucket, Key, VersionId: copy.handle })));
      return true;
    },
    close() {
      client.destroy();
      return Promise.resolve();
    },
  };
}

async function* versions({ client, Bucket, prefix: Prefix, ask }: ReturnType<typeof connect>): AsyncGenerator<NonNullable<ListObjectVersionsCommandOutput['Versions']>[number]> {
  let next: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
  while (next !== undefined) {
    const markers: { KeyMarker?: string; VersionIdMarker?: string } = next;
    const page: ListObjectVersionsCommandOutput = await ask('', () => client.send(new ListObjectVersionsCommand({ Bucket, Prefix, ...markers })));
    yield* page.Versions ?? [];
    next = page.IsTruncated === true ? { KeyMarker: page.NextKeyMarker ?? '', ...(page.NextVersionIdMarker ? { VersionIdMarker: page.NextVersionIdMarker } : {}) } : undefined;
  }
}

function connect({ bucket, prefix, endpoint, region }: Bucket) {
  const client = new S3Client({
    ...(region === '' ? {} : { region }),
    // Servers other than AWS rarely have a host name a bucket.
    ...(endpoint === '' ? {} : { endpoint, forcePathStyle: true }),
    requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: SILENCE_TIMEOUT_MS },
  });
  const folder = prefix === '' ? '' : `${prefix}/`;
  const ask = async <T>(key: string, request: () => Promise<T>): Promise<T> => {
    try {
      return await request();
    } catch (error) {
      throw s3Error(error, bucket, key);
    }
  };
  return { client, Bucket: bucket, prefix: folder, keyOf: (ref: Pick<BlobRef, 'sha256'>) => `${folder}${pathOf(ref)}`, ask };
}
