/** A blob store that counts: bytes and latency of puts and gets, failures by code. */
import type { Registry } from 'prom-client';
import { StemmaError } from '../../core/errors.js';
import type { BlobStore } from '../../core/ports.js';
import { counter, histogram } from './metrics.js';

export function measuredBlobs(blobs: BlobStore, registry: Registry): BlobStore {
  const seconds = histogram(registry, { name: 'stemma_blob_seconds', help: 'Latency of a put until it is durable, and of a verified get.', labels: ['call'] });
  const bytes = counter(registry, { name: 'stemma_blob_bytes_total', help: 'Bytes put and got by this process; the sidecar\'s own are not in it.', labels: ['call'] });
  const errors = counter(registry, { name: 'stemma_blob_errors_total', help: 'Failed calls of the blob store by error code.', labels: ['call', 'code'] });
  const measured = async <T>(call: 'put' | 'get', work: () => Promise<T>, sizeOf: (result: T) => number): Promise<T> => {
    const startedMs = performance.now();
    try {
      const result = await work();
      bytes.inc({ call }, sizeOf(result));
      return result;
    } catch (error) {
      errors.inc({ call, code: error instanceof StemmaError ? error.code : 'unknown' });
      throw error;
    } finally {
      seconds.observe({ call }, (performance.now() - startedMs) / 1000);
    }
  };
  return {
    put: (content) => measured('put', () => blobs.put(content), () => content.length),
    get: (ref) => measured('get', () => blobs.get(ref), (content) => content.length),
    has: (ref) => blobs.has(ref),
  };
}
