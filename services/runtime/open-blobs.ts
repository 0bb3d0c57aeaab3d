/** The one place that maps the setting to a blob store: everything that reads, writes or collects blobs opens it here. */
import { StemmaError } from '../../core/errors.js';
import type { BlobStore, BlobSweep } from '../../core/ports.js';
import { openDirectorySweep } from '../adapters/blob/directory-sweep.js';
import { openDirectoryBlobs } from '../adapters/blob/directory.js';
import { bucketOf, type Bucket } from './blob-place.js';

/** `place`: as STEMMA_BLOBS has it. The AWS SDK is loaded only for a bucket. */
export async function openBlobs(place: string): Promise<BlobStore> {
  const bucket = checked(place);
  return bucket === null ? openDirectoryBlobs(place) : (await import('../adapters/blob/s3.js')).openS3Blobs(bucket);
}

/** LOCKED while another process collects. */
export async function openSweep(place: string): Promise<BlobSweep> {
  const bucket = checked(place);
  return bucket === null ? openDirectorySweep(place) : (await import('../adapters/blob/s3.js')).openS3Sweep(bucket);
}

function checked(place: string): Bucket | null {
  const bucket = bucketOf(place);
  if (typeof bucket === 'string') throw new StemmaError('setup', 'INVALID', `blobs: ${bucket}`, 'Correct STEMMA_BLOBS.');
  return bucket;
}
