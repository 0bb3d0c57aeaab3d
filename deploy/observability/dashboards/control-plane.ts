import type { DashboardSpec } from '../dashboard.js';
import { curves, latency, numbers, perSecond, quantile } from '../panels.js';

export const controlPlane: DashboardSpec = {
  name: 'control-plane', title: 'Control plane', description: 'Temporal and the gateway: does work reach the services, and what comes of it?',
  panels: [
    numbers({ title: 'Activity slots in use', description: 'By task queue.', unit: 'percentunit', min: 0, max: 1, width: 12, queries: [{ expr: 'sum by (queue) (stemma_activity_running) / sum by (queue) (stemma_activity_slots)', legend: '{{queue}}' }] }),
    numbers({ title: 'Pollers', description: 'Of Temporal\'s task queues: none means that nobody works on it.', width: 12, queries: [{ expr: 'sum by (task_queue) (temporal_num_pollers)', legend: '{{task_queue}}' }] }),
    curves({ title: 'Attempts of activities', description: 'Ended, a second, by outcome. Other than ok and cancelled is an error that Temporal retries or a run that fails.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_activity_seconds_count', 'outcome'), legend: '{{outcome}}' }] }),
    curves({ title: 'Duration of attempts', description: '95th percentile by activity.', unit: 's', min: 0, queries: [{ expr: quantile(0.95, 'stemma_activity_seconds', { by: 'activity' }), legend: '{{activity}}' }] }),
    curves({ title: 'Activities: scheduled to started', description: 'How long work waits in Temporal\'s queue: rises when slots are all in use or the server is slow.', unit: 's', min: 0, queries: [{ expr: quantile(0.95, 'temporal_activity_schedule_to_start_latency_seconds', { by: 'task_queue' }), legend: 'p95 {{task_queue}}' }] }),
    curves({ title: 'Workflow tasks: scheduled to started', description: 'How long a decision waits for a worker.', unit: 's', min: 0, queries: [{ expr: quantile(0.95, 'temporal_workflow_task_schedule_to_start_latency_seconds', { by: 'task_queue' }), legend: 'p95 {{task_queue}}' }] }),
    curves({ title: 'Workflow tasks: execution', description: 'Running our workflow code; replays are longer.', unit: 's', min: 0, queries: [{ expr: quantile(0.95, 'temporal_workflow_task_execution_latency_seconds', { by: 'task_queue' }), legend: 'p95 {{task_queue}}' }] }),
    curves({ title: 'Temporal requests', description: '95th percentile of the SDK\'s calls, long polls left out.', unit: 's', min: 0, queries: [{ expr: quantile(0.95, 'temporal_request_latency_seconds', { by: 'operation' }), legend: '{{operation}}' }] }),
    curves({ title: 'Failed Temporal requests', description: 'A second, by operation and status.', unit: 'ops', min: 0, nothing: 'none', queries: [{ expr: perSecond('temporal_request_failure_total', 'operation, status_code'), legend: '{{operation}} {{status_code}}' }] }),
    curves({ title: 'Workflows ended', description: 'Since the process started, by type.', min: 0, queries: [{ expr: 'sum by (workflow_type) (temporal_workflow_completed_total)', legend: '{{workflow_type}}' }] }),
    curves({ title: 'Workflows failed', description: 'Since the process started, by type.', min: 0, nothing: 'none', queries: [{ expr: 'sum by (workflow_type) (temporal_workflow_failed_total)', legend: '{{workflow_type}}' }] }),
    curves({ title: 'Failed attempts in Temporal\'s eyes', description: 'Activities that threw, a second: each is tried again until its policy ends.', unit: 'ops', min: 0, nothing: 'none', queries: [{ expr: perSecond('temporal_activity_execution_failed_total', 'activity_type'), legend: '{{activity_type}}' }] }),
    curves({ title: 'Workflows in the cache', description: 'Of this worker; one that falls out is replayed from its history.', min: 0, queries: [{ expr: 'sum by (instance) (temporal_sticky_cache_size)', legend: '{{instance}}' }] }),
    curves({ title: 'gRPC requests', description: 'Served by the gateway and the scoring service: latency.', unit: 's', min: 0, queries: latency('stemma_grpc_request_seconds', 'method') }),
    curves({ title: 'gRPC answers', description: 'A second, by method and status.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_grpc_request_seconds_count', 'method, status'), legend: '{{method}} {{status}}' }] }),
    curves({ title: 'Refused requests', description: 'By the gateway, a second: without a key, beyond its scope, too many, too large.', unit: 'ops', min: 0, nothing: 'none', queries: [{ expr: perSecond('stemma_gateway_refused_requests_total', 'reason'), legend: '{{reason}}' }] }),
    curves({ title: 'Open gRPC requests', description: 'Being served; a WatchRun stays open.', min: 0, queries: [{ expr: 'sum by (method) (stemma_grpc_open_requests)', legend: '{{method}}' }] }),
  ],
};
