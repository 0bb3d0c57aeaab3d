import type { DashboardSpec } from '../dashboard.js';
import { curves, latency, perSecond, runInTemporal, stageInTemporal } from '../panels.js';

export const log: DashboardSpec = {
  name: 'log', title: 'Log', description: 'The event log and the blobs: every fact of every run goes through here.',
  panels: [
    curves({ title: 'Append', description: 'Until it is durable.', unit: 's', min: 0, queries: latency('stemma_log_append_seconds') }),
    curves({ title: 'Events appended', description: 'A second.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_log_append_events_sum', 'instance'), legend: '{{instance}}' }] }),
    curves({ title: 'Events an append', description: 'Group commit: it grows with load.', min: 0, queries: [{ expr: 'sum(rate(stemma_log_append_events_sum[$__rate_interval])) / (sum(rate(stemma_log_append_events_count[$__rate_interval])) > 0)', legend: 'mean' }] }),
    curves({ title: 'Waiting', description: 'Appends that wait to be acknowledged, reads that wait for the index to catch up.', min: 0, queries: [{ expr: 'sum by (instance) (stemma_log_waiting_appends)', legend: 'appends {{instance}}' }, { expr: 'sum by (instance) (stemma_log_waiting_reads)', legend: 'reads {{instance}}' }] }),
    curves({ title: 'Read', description: 'Reading on in one stream; over Kafka until the index holds all that was acknowledged.', unit: 's', min: 0, queries: latency('stemma_log_read_seconds') }),
    curves({ title: 'Events read', description: 'A second.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_log_read_events_sum', 'instance'), legend: '{{instance}}' }] }),
    curves({ title: 'Lag of the read models', description: 'Seconds since this process\'s view of a run last held all of its log: about a scrape interval (StemmaConsumerLag).', unit: 's', min: 0, links: [runInTemporal()], queries: [{ expr: 'stemma_run_view_age_seconds{run=~"$run"}', legend: '{{run}}' }] }),
    curves({ title: 'Ignored events', description: 'zombie: written under a claim that another took over (StemmaZombieStorm). duplicate: there twice. Neither changes anything.', min: 0, links: [runInTemporal()], queries: [{ expr: 'stemma_log_ignored_events_total{run=~"$run"}', legend: '{{run}} {{reason}}' }] }),
    curves({ title: 'Failed calls', description: 'Of the log, a second, by code.', unit: 'ops', min: 0, nothing: 'none', queries: [{ expr: perSecond('stemma_log_errors_total', 'call, code'), legend: '{{call}} {{code}}' }] }),
    curves({ title: 'Work since the newest snapshot', description: 'What a recovery would compute again (StemmaSnapshotOld).', unit: 's', min: 0, links: [stageInTemporal()], queries: [{ expr: 'stemma_run_unsaved_seconds{run=~"$run"}', legend: '{{run}} {{stage}}' }] }),
    curves({ title: 'Steps since the newest snapshot', description: 'At most snapshots.everySteps of the recipe, unless snapshots fail.', min: 0, links: [stageInTemporal()], queries: [{ expr: 'stemma_run_unsaved_steps{run=~"$run"}', legend: '{{run}} {{stage}}' }] }),
    curves({ title: 'Steps computed again', description: 'By recoveries, since the process started.', min: 0, queries: [{ expr: 'sum by (kind) (stemma_training_replayed_steps_total)', legend: '{{kind}}' }] }),
    curves({ title: 'Blobs', description: 'put: until durable. get: read and verified.', unit: 's', min: 0, queries: latency('stemma_blob_seconds', 'call') }),
    curves({ title: 'Blob bytes', description: 'A second.', unit: 'Bps', min: 0, queries: [{ expr: perSecond('stemma_blob_bytes_total', 'call'), legend: '{{call}}' }] }),
    curves({ title: 'Failed blob calls', description: 'A second, by code.', unit: 'ops', min: 0, nothing: 'none', queries: [{ expr: perSecond('stemma_blob_errors_total', 'call, code'), legend: '{{call}} {{code}}' }] }),
  ],
};
