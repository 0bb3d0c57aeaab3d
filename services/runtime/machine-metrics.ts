/** What the machine itself may run out of or get wrong: disk, and the time of day. Read at each scrape. */
import { statfs } from 'node:fs/promises';
import type { Registry } from 'prom-client';
import { gauge } from './metrics.js';

/** `folders`: what is kept there → its folder, e.g. log, blobs. */
export function registerMachineMetrics(registry: Registry, folders: { readonly [store: string]: string }): void {
  const size = gauge(registry, { name: 'stemma_machine_disk_size_bytes', help: 'Size of the disk that a store is on.', labels: ['store'] });
  gauge(registry, {
    name: 'stemma_machine_disk_free_bytes', help: 'Bytes that this process may still write to the disk that a store is on.', labels: ['store'],
    collect: async (free) => {
      for (const [store, folder] of Object.entries(folders)) {
        const disk = await statfs(folder).catch(() => undefined);
        if (disk === undefined) continue;
        free.set({ store }, disk.bavail * disk.bsize);
        size.set({ store }, disk.blocks * disk.bsize);
      }
    },
  });
  gauge(registry, {
    name: 'stemma_machine_clock_timestamp_seconds', help: 'This machine\'s clock. Less the time of the scrape it is the skew to Prometheus\'s clock.',
    collect: (clock) => clock.set(Date.now() / 1000),
  });
}
