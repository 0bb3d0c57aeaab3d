/** A blob store that counts: bytes and latency of puts and gets, failures by code. */
import type { Registry } from 'prom-client';
import type { BlobStore } from '../../core/ports.js';
import { measured, type CallMetrics } from './measured-call.js';
import { counter, histogram } from './metrics.js';

export function measuredBlobs(blobs: BlobStore, registry: Registry): BlobStore {
  const seconds = histogram(registry, { name: 'stemma_blob_seconds', help: 'Latency of a put until it is durable, and of a verified get.', labels: ['call'] });
  const bytes = counter(registry, { name: 'stemma_blob_bytes_total', help: 'Bytes put and got by this process; the sidecar\'s own are not in it.', labels: ['call'] });
  const errors = counter(registry, { name: 'stemma_blob_errors_total', help: 'Failed calls of the blob store by error code.', labels: ['call', 'code'] });
  const metricsOf = <T>(call: 'put' | 'get', sizeOf: (result: T) => number): CallMetrics<T> => ({
    done: (result) => bytes.inc({ call }, sizeOf(result)),
    failed: (code) => errors.inc({ call, code }),
    took: (spent) => seconds.observe({ call }, spent),
  });
  const got = metricsOf<Uint8Array>('get', ({ length }) => length);
  return {
    put: (content) => measured(() => blobs.put(content), metricsOf('put', () => content.length)),
    get: (ref) => measured(() => blobs.get(ref), got),
    has: (ref) => blobs.has(ref),
  };
}
