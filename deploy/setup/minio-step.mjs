// MinIO, an S3-compatible server, for tests. Its last release has no binaries, and users bring their own buckets.
import { prepareGoProgram } from './go-program.mjs';
import { MINIO } from './versions.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

/** @param {Progress} progress @returns {Promise<Tool>} */
export function prepareMinio(progress) {
  return prepareGoProgram(progress, { label: 'MinIO', name: 'minio', path: 'github.com/minio/minio', version: MINIO, given: 'STEMMA_TEST_MINIO', takes: '3 minutes', needs: '1.25' });
}
