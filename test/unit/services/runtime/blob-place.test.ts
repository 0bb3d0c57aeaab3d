import { describe, expect, it } from 'vitest';
import { bucketOf } from '../../../../services/runtime/blob-place.js';
import { readConfig } from '../../../../services/runtime/config.js';

describe('where the blobs are', () => {
  it.each(['/data/blobs', 'blobs', './a b/ü'])('%s is a directory', (place) => expect(bucketOf(place)).toBeNull());

  it.each([
    ['s3://runs', { bucket: 'runs', prefix: '', endpoint: '', region: '' }],
    ['s3://runs/', { bucket: 'runs', prefix: '', endpoint: '', region: '' }],
    ['s3://my.runs/a/b/?region=eu-west-1', { bucket: 'my.runs', prefix: 'a/b', endpoint: '', region: 'eu-west-1' }],
    ['s3://runs/x?endpoint=http://127.0.0.1:9000', { bucket: 'runs', prefix: 'x', endpoint: 'http://127.0.0.1:9000', region: 'us-east-1' }],
  ])('%s is a bucket', (place, bucket) => expect(bucketOf(place)).toEqual(bucket));

  it.each([
    ['gs://runs', 'expected a directory or s3://'], ['S3://runs', 'expected a directory or s3://'], ['s3://', 'bucket'], ['s3://Runs', "'Runs' is no bucket name"], ['s3://runs/a%20b', 'prefix'],
    ['s3://runs?endpoint=minio:9000', 'endpoint'], ['s3://runs?endpoint=nowhere', 'endpoint'], ['s3://runs?region=EU', 'region'], ['s3://runs?secret=x', 'unknown secret'],
  ])('%s is refused', (place, problem) => expect(bucketOf(place)).toContain(problem));

  it.each(['s3://key:hidden@runs', 's3://runs?endpoint=http://key:hidden@host:9000'])('credentials in it are refused and not repeated: %s', (place) => {
    expect(bucketOf(place)).toMatch(/^credentials do not belong in it/);
    expect(() => readConfig({ STEMMA_BLOBS: place })).toThrow(/^1 problem(?!.*hidden)[^]*STEMMA_BLOBS: credentials/);
  });

  it('is kept as it is in the configuration', () => {
    expect(readConfig({ STEMMA_BLOBS: 's3://runs/x' }).blobs).toBe('s3://runs/x');
  });
});
