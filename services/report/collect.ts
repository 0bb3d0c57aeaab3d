/** From a run's folded log to the data of its report. Pure. */
import { DOMAINS } from '../../core/environment.js';
import type { StageCurves } from '../../core/projection/curves.js';
import { EVERYTHING, seriesOf, type FigurePoint } from '../../core/projection/series.js';
import type { RunProgress, StageProgress } from '../../core/projection/progress.js';
import type { RunView } from '../../core/projection/run-view.js';
import { REWARD_COMPONENTS } from '../../core/reward/reward.js';
import { NO_TEACHER } from '../../core/recipe/references.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import type { Manifest } from '../runtime/run-context.js';
import type { AccuracyData, Fact, Point, ReportData, Series, StageCurveData, StageData } from './report-data.js';

export interface ReportSource {
  readonly run: string;
  readonly manifest: Manifest | null;
  readonly view: RunView;
  readonly progress: RunProgress;
  readonly curves: readonly StageCurves[];
}

export function collectReport(source: ReportSource): ReportData {
  const { progress, manifest } = source;
  const recipe = manifest?.recipe;
  const points = seriesOf(source.curves, EVERYTHING);
  return {
    run: source.run,
    recipe: progress.recipe,
    description: recipe?.description ?? '',
    status: progress.status,
    detail: progress.detail,
    stages: progress.stages.filter((stage) => stage.status !== 'planned').map((stage) => stageData(stage, points.filter((point) => point.stage === stage.stage))),
    accuracy: recipe === undefined ? [] : accuracyData(progress, recipe),
    tasksPerDomain: recipe?.evaluation.tasksPerDomain ?? 0,
    facts: factsOf(source),
  };
}

function stageData(stage: StageProgress, points: readonly FigurePoint[]): StageData {
  const { completed, truncated, failed } = stage.episodes;
  const { computeSeconds, orchestrationSeconds, waitingSeconds } = stage.spent;
  return {
    stage: stage.stage, kind: stage.kind, status: stage.status, steps: stage.step,
    episodes: { completed, truncated, failed },
    seconds: { compute: computeSeconds, orchestration: orchestrationSeconds, waiting: waitingSeconds },
    curves: curveData(points),
  };
}

function curveData(points: readonly FigurePoint[]): StageCurveData {
  const figure = (name: string): Point[] => points.flatMap(({ figure: of, step, mean }) => (of === name && mean !== undefined && Number.isFinite(mean) ? [{ step, value: mean }] : []));
  const series = (names: readonly (readonly [name: string, figure: string])[]): Series[] =>
    names.map(([name, of]) => ({ name, points: figure(of) })).filter((each) => each.points.length > 0);
  const byDomain = (name: string): Series[] => series(DOMAINS.map((domain) => [domain, `${name}.${domain}`]));
  return {
    reward: figure('reward'),
    rewardComponents: series(REWARD_COMPONENTS.map((name) => [name, `reward_${name}`])),
    loss: figure('loss'),
    entropy: figure('entropy'),
    kl: figure('kl'),
    clipFraction: figure('clip_fraction'),
    gradientNorm: figure('gradient_norm'),
    svaLoss: byDomain('salient_vocabulary'),
    coverage: byDomain('coverage'),
  };
}

/** SFT, the teachers in the order of the domains, the student; then whatever else was evaluated. */
function accuracyData(progress: RunProgress, recipe: Recipe): AccuracyData[] {
  const student = recipe.stages.filter((stage) => stage.kind === 'distill').at(-1);
  const named: Omit<AccuracyData, 'values'>[] = [];
  const stages: string[] = [];
  const add = (stage: string | undefined, row: Omit<AccuracyData, 'values'>): void => {
    if (stage === undefined || stage === NO_TEACHER) return;
    stages.push(stage);
    named.push(row);
  };
  add(student?.init ?? recipe.stages.find((stage) => stage.kind === 'sft')?.id, { name: 'SFT', role: 'sft', teaches: null });
  for (const domain of DOMAINS) add(recipe.teachers[domain], { name: `${domain} teacher`, role: 'teacher', teaches: domain });
  add(student?.id, { name: 'student', role: 'student', teaches: null });
  for (const { stage } of progress.accuracy) if (!stages.includes(stage)) add(stage, { name: stage, role: 'other', teaches: null });
  return named.flatMap((row, index) => {
    const found = progress.accuracy.find((each) => each.stage === stages[index]);
    return found === undefined ? [] : [{ ...row, values: Object.fromEntries(found.accuracyByDomain) }];
  });
}

function factsOf({ run, manifest, view, progress }: ReportSource): Fact[] {
  const facts: (readonly [string, unknown])[] = [
    ['run', run], ['recipe', progress.recipe], ['seed', progress.seed.toString()],
    ['recipe hash', view.run.created?.settingsHash], ['manifest', view.run.created?.manifest?.sha256],
    ['final weights', view.run.end?.status === 'finished' ? view.run.end.weightsHash : undefined],
    ['base weights', manifest?.baseWeightsHash],
    ['code', manifest === null ? undefined : `${manifest.code.version} ${manifest.code.revision}`.trim()],
    ['environments', manifest === null ? undefined : Object.entries(manifest.environmentVersions).map(([domain, version]) => `${domain} ${version}`).join(', ')],
    ['fingerprint', fingerprintText(manifest?.fingerprint)],
    ...[...view.run.stages].map(([stage, { result }]) => [`result of ${stage}`, result?.weightsHash] as const),
  ];
  return facts.flatMap(([name, value]) => (typeof value === 'string' && value !== '' ? [{ name, value }] : []));
}

function fingerprintText(fingerprint: unknown): string | undefined {
  if (typeof fingerprint !== 'object' || fingerprint === null) return undefined;
  return Object.entries(fingerprint).map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`).join(', ');
}
