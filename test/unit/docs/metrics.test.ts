/** docs/metrics.md is made from what is registered. After a change: npx vitest run test/unit/docs -u */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { STALENESS_FIGURES } from '../../../services/training/staleness.js';
import { everyMetric, type Family } from '../../support/every-metric.js';

const PAGE = join(import.meta.dirname, '../../../docs/metrics.md');

/** One value a run, a stage or a thing of the code each: what grows with episodes, prompts or what people write is no label. */
const LABELS: ReadonlySet<string> = new Set([
  'run', 'stage', 'figure', 'status', 'spent', 'reason', 'kind', 'part', 'domain', 'purpose', 'outcome', 'activity', 'queue', 'method', 'call', 'code',
  'implementation', 'vocabulary', 'top_k', 'for', 'boundary', 'teacher', 'store', 'device', 'torch',
]);

const HEAD = `# Every metric

Each process serves its own on \`/metrics\` (Prometheus text; the address is printed at start, STEMMA_METRICS_PORT sets the port), with Node's own
figures (\`process_*\`, \`nodejs_*\`) beside. Names begin with \`stemma_\`, are in base units (seconds, bytes, tokens), and counters end in \`_total\`. No label
holds an episode, a prompt or what a person wrote. \`stemma_learning_*\`, \`stemma_run_*\` and \`stemma_log_ignored_events_total\` are folded from the log at each
scrape: a restart neither loses nor doubles a step. All others count from the start of their process. Any figure that a step records is exported under its own name
as the label \`figure\`; its mean over a window is what the sum has grown by through what \`stemma_learning_observations_total\` has grown by
(deploy/observability/prometheus/recording.yaml; not rate: a sum of rewards may fall); tokens a second is \`rate(stemma_rollout_tokens_total)\`. What Temporal's SDK counts, \`temporal_*\`, is on the same page
(https://docs.temporal.io/references/sdk-metrics). Dashboards, alerts and how to see them: [observability.md](observability.md).

This page is made by \`npx vitest run test/unit/docs -u\` from what the services register, and a test holds the two together.

| metric | type | labels | meaning |
|---|---|---|---|
`;

const FIGURES = `
## Figures of asynchronous stages

Sums and counts that each step of such a stage records, as the label \`figure\` ([why](decisions/asynchronous.md)). A stage that weights also has
\`importance_weight\` (min(ρ, C) of each stale token) and \`importance_truncated\` (1 where ρ > C), and its \`clip_fraction\` counts the other tokens.

| figure | meaning |
|---|---|
${Object.entries(STALENESS_FIGURES).map(([figure, meaning]) => `| \`${figure}\` | ${meaning} |\n`).join('')}`;

const row = ({ name, type, labels, help }: Family): string => `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${help} |`;

describe('docs/metrics.md', () => {
  it('lists what is registered', async () => {
    const families = (await everyMetric()).sort((a, b) => a.name.localeCompare(b.name));
    expect(families.length).toBeGreaterThan(30);
    await expect(`${HEAD}${families.map(row).join('\n')}\n${FIGURES}`).toMatchFileSnapshot(PAGE);
  });

  it('names no label that grows with episodes or with what people write', async () => {
    const unknown = (await everyMetric()).flatMap(({ name, labels }) => labels.filter((label) => !LABELS.has(label)).map((label) => `${name}{${label}}`));
    expect(unknown).toEqual([]);
  });
});
