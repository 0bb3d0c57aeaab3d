import type { DashboardSpec } from '../dashboard.js';
import { bars, curves, figureMean, latency, perSecond, quantile, runInTemporal, stageInTemporal } from '../panels.js';

const SCORING = '{method=~"TeacherScoringService/.+"}';

export const teachers: DashboardSpec = {
  name: 'teachers', title: 'Teachers', description: 'Who teaches which domain, how fast and how reliably they score, and how near the student is.',
  panels: [
    bars({ title: 'Routing', description: 'The stage whose result teaches each domain. "none": left out of distillation (StemmaTeacherUnrouted).', links: [runInTemporal()], queries: [{ expr: 'stemma_run_teacher{run=~"$run"}', legend: '{{domain}} ← {{teacher}}' }] }),
    curves({ title: 'Episodes', description: 'Asked for, a second, by what became of them: scored, reused (the memo had it), failed.', unit: 'ops', min: 0, stacked: true, queries: [{ expr: perSecond('stemma_scoring_episodes_total', 'purpose, outcome'), legend: '{{purpose}} {{outcome}}' }] }),
    curves({
      title: 'Memo hits', description: 'Share of the episodes asked for whose score was a fact already: after a crash or in a fork it is high.', unit: 'percentunit', min: 0, max: 1,
      queries: [{ expr: 'sum by (purpose) (stemma_scoring_episodes_total{outcome="reused"}) / (sum by (purpose) (stemma_scoring_episodes_total) > 0)', legend: '{{purpose}}' }],
    }),
    curves({ title: 'Scoring of a chunk', description: 'Latency, retries included.', unit: 's', min: 0, queries: latency('stemma_scoring_chunk_seconds') }),
    curves({ title: 'Tokens scored', description: 'A second.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_scoring_tokens_total', 'purpose'), legend: '{{purpose}}' }] }),
    curves({ title: 'Requests', description: 'To the scoring service: 95th percentile by status. Other than OK: see the runbook of StemmaTeacherFailing.', unit: 's', min: 0, queries: [{ expr: quantile(0.95, 'stemma_grpc_request_seconds', { by: 'status', where: SCORING }), legend: 'p95 {{status}}' }] }),
    curves({ title: 'Teacher mass', description: 'What of the teacher\'s distribution its top k ids hold, by domain.', unit: 'percentunit', max: 1, links: [stageInTemporal()], queries: [{ expr: figureMean('teacher_mass[.].+', 'run, stage, figure'), legend: '{{figure}}' }] }),
    curves({ title: 'ρ by domain', description: 'Student mass on the teacher\'s top k.', unit: 'percentunit', min: 0, links: [stageInTemporal()], queries: [{ expr: figureMean('coverage[.].+', 'run, stage, figure'), legend: '{{figure}}' }] }),
    curves({ title: 'Models in memory', description: 'Of the sidecars: teachers, references, the trainer\'s current one.', min: 0, queries: [{ expr: 'stemma_sidecar_loaded_models', legend: '{{instance}}' }] }),
    curves({ title: 'Teacher\'s top k', description: 'Blocks of positions a second, by implementation: torch where no kernel fits.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_sidecar_top_k_blocks_total', 'implementation, vocabulary, top_k'), legend: '{{implementation}} V={{vocabulary}} k={{top_k}}' }] }),
    curves({ title: 'SVA head', description: 'Micro-batches a second, by implementation: torch where no kernel fits.', unit: 'ops', min: 0, queries: [{ expr: perSecond('stemma_sidecar_sva_micro_batches_total', 'implementation, vocabulary, top_k'), legend: '{{implementation}} V={{vocabulary}} k={{top_k}}' }] }),
  ],
};
