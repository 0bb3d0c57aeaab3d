/** How long the certificate of a process still holds, and whether its files are in order. Read at each scrape. */
import type { Registry } from 'prom-client';
import { counter, gauge } from '../metrics.js';
import type { Tls } from './tls.js';

export interface TlsMetrics {
  peerRefused(): void;
}

/** Without TLS the families are there and have no values. */
export function registerTlsMetrics(registry: Registry, tls: Pick<Tls, 'current' | 'refusals'> | null): TlsMetrics {
  const refused = counter(registry, { name: 'stemma_tls_refused_files_total', help: 'New certificate files that could not be used; the old ones stayed in use.' });
  const peers = counter(registry, { name: 'stemma_tls_refused_peers_total', help: 'Calls of services whose certificate does not let them call this one.' });
  const identity = () => tls?.current().identity;
  gauge(registry, {
    name: 'stemma_tls_certificate_not_after_timestamp_seconds', help: 'When the certificate of this process expires.', labels: ['kind'],
    collect(until) {
      refused.reset();
      refused.inc(tls?.refusals() ?? 0);
      const own = identity();
      if (own) until.set({ kind: 'own' }, own.notAfterMs / 1000);
    },
  });
  gauge(registry, {
    name: 'stemma_tls_certificate_not_before_timestamp_seconds', help: 'Since when the certificate of this process holds.', labels: ['kind'],
    collect(since) {
      const own = identity();
      if (own) since.set({ kind: 'own' }, own.notBeforeMs / 1000);
    },
  });
  return { peerRefused: () => peers.inc() };
}
