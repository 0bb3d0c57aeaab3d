import type { DashboardSpec } from '../dashboard.js';
import { curves, grown, numbers, perSecond, quantile, stageInTemporal } from '../panels.js';

export const machines: DashboardSpec = {
  name: 'machines', title: 'Machines', description: 'Where the time of a step goes, and what the machines have left.',
  panels: [
    numbers({ title: 'Processes', description: '1: Prometheus reaches it.', queries: [{ expr: 'up{job="stemma"}', legend: '{{instance}}' }] }),
    numbers({ title: 'Sidecars', description: '1: it answers.', queries: [{ expr: 'stemma_sidecar_up', legend: '{{instance}}' }] }),
    numbers({ title: 'Device', description: 'What the sidecars compute on.', names: true, queries: [{ expr: 'stemma_sidecar_device', legend: '{{device}} (torch {{torch}})' }] }),
    numbers({ title: 'Clock skew', description: 'This machine\'s clock less Prometheus\'s (StemmaClockSkew).', unit: 's', queries: [{ expr: 'stemma:machine_clock:skew_seconds', legend: '{{instance}}' }] }),
    curves({ title: 'Time of a step', description: 'Wall seconds of a committed step by what they were spent on, mean over the window.', unit: 's', min: 0, stacked: true, links: [stageInTemporal()],
      queries: [{ expr: `${grown('stemma_learning_step_seconds_total', 'run, stage, spent', 'run=~"$run"')} / on (run, stage) group_left () (${grown('stemma_learning_steps_total', 'run, stage', 'run=~"$run"')} > 0)`, legend: '{{stage}} {{spent}}' }] }),
    curves({ title: 'Share of orchestration', description: 'Of the wall seconds of all committed steps of a run: neither computing nor waiting for a tool or a person.', unit: 'percentunit', min: 0, max: 1, queries: [{ expr: 'sum by (run) (stemma_learning_step_seconds_total{run=~"$run", spent="orchestration"}) / sum by (run) (stemma_learning_step_seconds_total{run=~"$run"})', legend: '{{run}}' }] }),
    curves({ title: 'Parts of a step', description: '95th percentile: close, step, commit, snapshot, publish; and recovery.', unit: 's', min: 0, queries: [{ expr: quantile(0.95, 'stemma_training_seconds', { by: 'kind, part' }), legend: '{{kind}} {{part}}' }] }),
    curves({ title: 'Compute thread busy', description: 'Of the sidecar: 1 is all of the time.', unit: 'percentunit', min: 0, max: 1, queries: [{ expr: perSecond('stemma_sidecar_busy_seconds_total', 'instance'), legend: '{{instance}}' }] }),
    curves({ title: 'Memory', description: 'Resident: of the services\' process, and the highest of its sidecar.', unit: 'bytes', min: 0, queries: [{ expr: 'process_resident_memory_bytes{job="stemma"}', legend: 'services {{instance}}' }, { expr: 'stemma_sidecar_peak_memory_bytes', legend: 'sidecar (peak) {{instance}}' }] }),
    curves({ title: 'GPU memory', description: 'In use, as the GPU\'s driver counts it over all processes, and its size. Temperature and power: NVIDIA\'s dcgm-exporter.', unit: 'bytes', min: 0, nothing: 'computed on a CPU',
      queries: [{ expr: 'stemma_sidecar_device_memory_size_bytes - stemma_sidecar_device_memory_free_bytes', legend: 'in use {{device}} {{instance}}' }, { expr: 'stemma_sidecar_device_memory_size_bytes', legend: '{{device}} {{instance}}' }] }),
    curves({ title: 'GPU utilisation', description: 'Share of the driver\'s last sample in which any kernel ran, of any process: 1 says that the GPU is used, not that it is used well.', unit: 'percentunit', min: 0, max: 1, nothing: 'computed on a CPU',
      queries: [{ expr: 'stemma_sidecar_device_utilization_ratio', legend: '{{device}} {{instance}}' }] }),
    curves({ title: 'CPU of the services', description: 'Cores.', min: 0, queries: [{ expr: perSecond('process_cpu_seconds_total', 'instance', '{job="stemma"}'), legend: '{{instance}}' }] }),
    curves({ title: 'Event loop', description: '99th percentile of its delay: what every request of the process waits.', unit: 's', min: 0, queries: [{ expr: 'nodejs_eventloop_lag_p99_seconds{job="stemma"}', legend: '{{instance}}' }] }),
    curves({ title: 'Disk', description: 'Share that is free, by what is kept there (StemmaDiskFilling).', unit: 'percentunit', min: 0, max: 1, queries: [{ expr: 'stemma_machine_disk_free_bytes / stemma_machine_disk_size_bytes', legend: '{{store}} {{instance}}' }] }),
  ],
};
