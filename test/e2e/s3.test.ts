/**
 * The micro recipe with its blobs in a bucket of a real S3-compatible server: the same weights as in a directory; collected from
 * while it runs, without loss; and no file, event or line holds the credentials.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { reachedBlobs } from '../../services/gc/reachable.js';
import type { Bucket } from '../../services/runtime/blob-place.js';
import { openBlobs } from '../../services/runtime/open-blobs.js';
import { cli, startQuickstart, weightsOfMicroAlone, type QuickstartResult } from '../support/quickstart.js';
import { describeWithMinio, openRealMinio, type RealMinio } from '../support/real-minio.js';
import { standing, whenStanding } from '../support/stage-watch.js';

const RUN = 'micro-s1-1';
const TWO_DAYS_MS = 2 * 86_400_000;

describeWithMinio('the micro recipe with blobs in a bucket', () => {
  const home = mkdtempSync(join(tmpdir(), 'stemma-s3-'));
  let minio: RealMinio;
  let place: string;
  let bucket: Bucket;
  let finished: QuickstartResult;
  let collected: QuickstartResult;
  const stemma = (...args: string[]): Promise<QuickstartResult> => cli(home, args, { STEMMA_BLOBS: place });
  const keyOf = (sha256: string) => ({ Bucket: bucket.bucket, Key: `${bucket.prefix}/${sha256.slice(0, 2)}/${sha256}` });

  beforeAll(async () => {
    minio = await openRealMinio();
    ({ place, bucket } = await minio.newBucket());
    const orphan = await (await openBlobs(place)).put(new TextEncoder().encode('reached by nothing'));
    const running = startQuickstart(home, ['--recipe', 'micro', '--seed', '1', '--json'], { STEMMA_BLOBS: place });
    await whenStanding({ home, run: RUN, stage: 'search-rl' }, AbortSignal.timeout(240_000), ({ run }) => run.stages.has('search-rl'));
    const named = await namedBlobs();
    await minio.age(bucket, Date.now() - TWO_DAYS_MS, (sha256) => sha256 === orphan.sha256 || named.has(sha256));
    collected = await stemma('gc');
    finished = await running.ended;
  }, 500_000);
  afterAll(async () => {
    await minio.stop();
    rmSync(home, { recursive: true, force: true });
  });

  async function namedBlobs(): Promise<ReadonlyMap<string, string>> {
    const logs = await openEmbeddedLogs(join(home, 'log'));
    const { namedBy } = await reachedBlobs([logs], await openBlobs(place)).finally(() => logs.close());
    return namedBy;
  }

  it('ends in the weights of a directory, though a collector went through old blobs meanwhile', async () => {
    expect(finished.code, finished.stderr).toBe(0);
    expect(JSON.parse(finished.stdout)).toMatchObject({ weights: `sha256:${await weightsOfMicroAlone()}` });
    expect(collected.stdout).toContain('goes   1 blob of 18 B, reached by nothing');
    expect(collected.stdout).toContain('\nremoved: ');
    expect(collected.stdout).not.toContain('missing');
    expect((await stemma('verify', RUN)).stdout).toMatch(/^CLEAN/);
    expect((await stemma('replay', RUN)).stdout).toContain('IDENTICAL');
    const { stdout } = await stemma('gc', '--dry-run');
    expect(stdout).not.toContain('missing');
    // What the run put again after it had become old is there twice; nothing else goes.
    expect(stdout).not.toContain('reached by nothing');
    expect((await stemma('gc', '--older-than', '12h')).stderr).toContain('from 13h in this store');
  });

  it('keeps nothing in the home but the log, and the credentials nowhere', () => {
    expect(readdirSync(home)).not.toContain('blobs');
    const files = readdirSync(home, { recursive: true, encoding: 'utf8' }).map((name) => join(home, name)).filter((path) => statSync(path).isFile());
    expect(files.length).toBeGreaterThan(3);
    const secret = process.env['AWS_SECRET_ACCESS_KEY']!;
    expect(secret).toHaveLength(14);
    const texts = [finished.stdout, finished.stderr, ...files.map((file) => readFileSync(file, 'latin1'))];
    expect(texts.filter((text) => text.includes(secret))).toEqual([]);
  });

  it('verify names a blob that was altered there', async () => {
    const { sha256 = '' } = (await standing(home, RUN, 'distill'))?.run.stages.get('distill')?.result?.weights ?? {};
    await minio.client.send(new PutObjectCommand({ ...keyOf(sha256), Body: 'something else' }));
    const { code, stdout } = await stemma('verify', RUN);
    expect(code).toBe(1);
    expect(stdout).toContain(sha256);
  });

  it('an unreachable server and wrong credentials are each said in one message', async () => {
    const nowhere = await cli(join(home, 'none'), ['quickstart', '--recipe', 'micro'], { STEMMA_BLOBS: place.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1') });
    expect(nowhere.code).not.toBe(0);
    expect(nowhere.stderr).toMatch(/blob store does not answer for bucket [^]*endpoint in STEMMA_BLOBS/);
    const refused = await cli(join(home, 'none'), ['quickstart', '--recipe', 'micro'], { STEMMA_BLOBS: place, AWS_SECRET_ACCESS_KEY: 'wrong-secret' });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/no access to bucket [^]*credentials in the AWS environment/);
    expect(refused.stderr).not.toContain('wrong-secret');
  });
});
