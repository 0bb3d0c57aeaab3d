/**
 * A real S3-compatible server for tests: STEMMA_TEST_MINIO, else what set-up built; without it such tests are skipped by
 * name, and fail under CI=true.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateBucketCommand, DeleteObjectCommand, GetObjectCommand, ListObjectVersionsCommand, PutBucketVersioningCommand, PutObjectCommand, S3Client, type ObjectVersion,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { bucketOf, type Bucket } from '../../services/runtime/blob-place.js';
import { superviseChild } from '../../services/runtime/child-process.js';
import { freePorts } from '../../services/runtime/free-port.js';
import { describeUnlessLacking, setUpPart } from './set-up-part.js';

const CREDENTIALS = { accessKeyId: 'stemma-tests', secretAccessKey: 'only-for-tests' };

function executable(): string {
  const found = process.env['STEMMA_TEST_MINIO'] ?? setUpPart('minio');
  return existsSync(found) ? found : '';
}

/** With CI=true it is there, or whoever needs it fails. */
export function hasMinio(): boolean {
  return executable() !== '' || process.env['CI'] === 'true';
}

/** A suite that needs a bucket. */
export function describeWithMinio(name: string, suite: () => void): void {
  describeUnlessLacking(executable() === '' ? 'no MinIO: run `npm run setup -- --only=minio`, or set STEMMA_TEST_MINIO' : '', name, suite);
}

export interface RealMinio {
  readonly client: S3Client;
  /** As STEMMA_BLOBS has it, with a prefix. */
  newBucket(options?: { readonly versioned: boolean }): Promise<{ readonly place: string; readonly bucket: Bucket }>;
  /** Every copy, newest first within a key. */
  versions(bucket: Bucket): Promise<ObjectVersion[]>;
  /** As if it had been put at that time, which a server that replicates another one may say. */
  putAt(at: { readonly Bucket: string; readonly Key: string }, bytes: Uint8Array, putAtMs: number): Promise<void>;
  /** Gives these blobs that time; each is readable at every moment. */
  age(bucket: Bucket, putAtMs: number, which: (sha256: string) => boolean): Promise<void>;
  kill(): void;
  stop(): Promise<void>;
}

/** Sets the AWS environment of this process to the server's credentials. */
export async function openRealMinio(): Promise<RealMinio> {
  const directory = await mkdtemp(join(tmpdir(), 'stemma-minio-'));
  const [port, console] = (await freePorts(2)) as [number, number];
  const endpoint = `http://127.0.0.1:${port}`;
  const child = await superviseChild({
    name: 'minio', boundary: 'setup', restart: false, command: executable(),
    args: ['server', join(directory, 'data'), '--address', `127.0.0.1:${port}`, '--console-address', `127.0.0.1:${console}`, '--config-dir', directory],
    env: { ...process.env, MINIO_ROOT_USER: CREDENTIALS.accessKeyId, MINIO_ROOT_PASSWORD: CREDENTIALS.secretAccessKey, MINIO_BROWSER: 'off', MINIO_UPDATE: 'off' },
    ready: { probe: () => fetch(`${endpoint}/minio/health/ready`).then(({ ok }) => ok, () => false) },
    readyTimeoutMs: 60_000,
  });
  process.env['AWS_ACCESS_KEY_ID'] = CREDENTIALS.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = CREDENTIALS.secretAccessKey;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: CREDENTIALS });
  let buckets = 0;
  const versions: RealMinio['versions'] = async ({ bucket: Bucket, prefix: Prefix }) => {
    const { Versions = [], IsTruncated } = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix }));
    expect(IsTruncated).toBe(false);
    return Versions;
  };
  const putAt: RealMinio['putAt'] = async (at, bytes, putAtMs) => {
    const command = new PutObjectCommand({ ...at, Body: bytes, ChecksumSHA256: createHash('sha256').update(bytes).digest('base64') });
    command.middlewareStack.add((next) => (args) => {
      Object.assign((args.request as { headers: object }).headers, { 'x-minio-source-mtime': new Date(putAtMs).toISOString(), 'x-minio-source-replication-request': 'true' });
      return next(args);
    }, { step: 'build' });
    await client.send(command);
  };
  return {
    client,
    async newBucket({ versioned } = { versioned: true }) {
      const Bucket = `stemma-${(buckets += 1)}`;
      await client.send(new CreateBucketCommand({ Bucket }));
      if (versioned) await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
      const place = `s3://${Bucket}/some/prefix?endpoint=${endpoint}`;
      return { place, bucket: bucketOf(place) as Bucket };
    },
    versions, putAt,
    async age(bucket, putAtMs, which) {
      const Bucket = bucket.bucket;
      for (const { Key = '', VersionId } of await versions(bucket)) {
        if (!which(Key.slice(Key.lastIndexOf('/') + 1))) continue;
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, VersionId }));
        await putAt({ Bucket, Key }, await Body!.transformToByteArray(), putAtMs);
        await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
      }
    },
    kill: () => process.kill(child.pid(), 'SIGKILL'),
    async stop() {
      client.destroy();
      await child.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
