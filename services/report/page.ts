/** The report: one HTML page that needs nothing but itself. Pure. */
import { DOMAINS } from '../../core/environment.js';
import { accuracyBars, timeBars, totalSeconds } from './bar-charts.js';
import { meanOver, shareText } from './domain-means.js';
import { lineChart } from './line-chart.js';
import type { ReportData, StageCurveData, StageData } from './report-data.js';
import { STYLE } from './style.js';
import { escapeText } from './svg.js';
import { accuracyTable, factsTable, oracleOf, timeTable } from './tables.js';

type Figure = Exclude<keyof StageCurveData, 'rewardComponents' | 'svaLoss' | 'coverage'>;

interface FigureSection {
  readonly figure: Figure;
  readonly title: string;
  readonly yLabel: string;
  readonly words: string;
  readonly yBounds?: readonly [number | null, number | null];
}

const FIGURES: readonly FigureSection[] = [
  { figure: 'reward', title: 'Reward', yLabel: 'mean reward', words: 'Mean reward of each step\'s training episodes. Thin: the step; bold: running mean.' },
  { figure: 'loss', title: 'Loss', yLabel: 'loss', words: 'Cross-entropy (nats a token) in SFT, clipped policy gradient with KL and entropy terms in RL, SVA reverse KL in distillation: comparable within a stage only.' },
  { figure: 'entropy', title: 'Entropy', yLabel: 'entropy, nats', words: 'Of the policy over the full vocabulary, mean over trained tokens.', yBounds: [0, null] },
  { figure: 'kl', title: 'KL to the reference model', yLabel: 'KL (k3), nats', words: 'Unbiased k3 estimate, mean over trained tokens.', yBounds: [0, null] },
  { figure: 'clipFraction', title: 'Clip fraction', yLabel: 'share of tokens', words: 'Tokens whose clipped branch is the larger: how often the trust region binds.', yBounds: [0, null] },
  { figure: 'gradientNorm', title: 'Gradient norm', yLabel: 'L2 norm', words: 'Global norm before clipping.', yBounds: [0, null] },
];

function section(title: string, words: string, body: string): string {
  return body === '' ? '' : `<section><h2>${escapeText(title)}</h2><p>${escapeText(words)}</p>${body}</section>`;
}

function figureSection(stages: readonly StageData[], { figure, title, yLabel, words, yBounds }: FigureSection): string {
  const charts = stages.map(({ stage, curves }) =>
    lineChart({ title: stage, yLabel, series: [{ name: stage, color: 'main', points: curves[figure] }], ...(yBounds === undefined ? {} : { yBounds }) }));
  const shown = charts.filter((chart) => chart !== '');
  return section(title, words, shown.length === 0 ? '' : `<div class="charts">${shown.join('')}</div>`);
}

function componentSection(stages: readonly StageData[]): string {
  const charts = stages.map(({ stage, curves }) =>
    lineChart({ title: stage, yLabel: 'mean part of the reward', series: curves.rewardComponents.map((series) => ({ ...series, color: series.name })) })).filter((chart) => chart !== '');
  return section('Reward by component', 'What the reward is the sum of, a training episode. Penalties are negative.', charts.length === 0 ? '' : `<div class="charts">${charts.join('')}</div>`);
}

function distillSection(stages: readonly StageData[]): string {
  const charts = stages.flatMap(({ stage, curves }) => [
    lineChart({ title: `${stage}: SVA loss`, yLabel: 'reverse KL, nats', width: 480, height: 240, yBounds: [0, null], series: curves.svaLoss.map((series) => ({ ...series, color: series.name })) }),
    lineChart({ title: `${stage}: coverage ρ`, yLabel: 'student mass on the teacher\'s top k', width: 480, height: 240, yBounds: [null, 1], series: curves.coverage.map((series) => ({ ...series, color: series.name })) }),
  ]).filter((chart) => chart !== '');
  return section('Distillation by domain',
    'SVA: reverse KL between student and routed teacher, both renormalised on the teacher\'s top-k tokens. ρ: the student\'s mass on those tokens before renormalisation; renormalising would hide mass that drains away, ρ shows it.',
    charts.length === 0 ? '' : `<div class="charts pair">${charts.join('')}</div>`);
}

function tile(value: string, name: string): string {
  return `<li><b>${escapeText(value)}</b><span>${escapeText(name)}</span></li>`;
}

function tiles(data: ReportData): string {
  const student = data.accuracy.find((row) => row.role === 'student');
  const sft = data.accuracy.find((row) => row.role === 'sft');
  const seconds = data.stages.map((stage) => totalSeconds(stage.seconds)).reduce((sum, value) => sum + value, 0);
  const orchestration = data.stages.reduce((sum, stage) => sum + stage.seconds.orchestration, 0);
  const coverage = data.stages.flatMap((stage) => stage.curves.coverage.flatMap(({ points }) => points.at(-1)?.value ?? []));
  const episodes = data.stages.reduce((sum, { episodes: { completed, truncated, failed } }) => sum + completed + truncated + failed, 0);
  return `<ul class="tiles">${[
    tile(shareText(meanOver(student?.values ?? {})), 'student, mean accuracy'),
    tile(shareText(meanOver(sft?.values ?? {})), 'SFT, mean accuracy'),
    tile(shareText(meanOver(oracleOf(data.accuracy))), 'routed oracle, mean accuracy'),
    tile(coverage.length === 0 ? '–' : Math.min(...coverage).toFixed(3), 'lowest ρ at the end'),
    tile(seconds >= 100 ? `${Math.floor(seconds / 60)} m ${Math.round(seconds % 60)} s` : `${seconds.toFixed(1)} s`, 'wall time'),
    tile(seconds > 0 ? `${((100 * orchestration) / seconds).toFixed(1)} %` : '–', 'of it orchestration'),
    tile(episodes.toLocaleString('en-US'), 'episodes'),
  ].join('')}</ul>`;
}

export function renderReport(data: ReportData): string {
  const accuracy = data.accuracy.length === 0 ? '' : accuracyBars(data.accuracy) + accuracyTable(data.accuracy);
  const time = data.stages.length === 0 ? '' : timeBars(data.stages) + timeTable(data.stages);
  const body = [
    `<h1>Stemma: run ${escapeText(data.run)}</h1>`,
    `<p>${escapeText(`${data.description} Recipe ${data.recipe}; ${data.status}.`)}</p>`,
    data.detail === '' ? '' : `<p class="bad">${escapeText(data.detail)}</p>`,
    tiles(data),
    section('Accuracy by domain', `Greedy, on ${data.tasksPerDomain} held-out tasks a domain (${DOMAINS.join(', ')}). Outlined: the domain's own teacher, which is the routed oracle's choice.`, accuracy),
    ...FIGURES.slice(0, 2).map((figure) => figureSection(data.stages, figure)),
    componentSection(data.stages),
    distillSection(data.stages),
    ...FIGURES.slice(2).map((figure) => figureSection(data.stages, figure)),
    section('Wall time', 'Compute: the sidecar is working. Waiting: nothing computes because a tool or a person is waited for. Orchestration: everything else. Evaluation of a stage\'s result counts to the stage.', time),
    section('Run facts', 'What the run was made of, as its manifest says.', factsTable(data.facts)),
  ].join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(`Stemma: run ${data.run}`)}</title><style>${STYLE}</style></head>
<body><main>
${body}
</main></body></html>
`;
}
