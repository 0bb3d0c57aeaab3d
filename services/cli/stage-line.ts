/** One line of progress a stage: step, reward or loss, tokens/s, time left. Pure. */
import { meanOf, type StageCurves, type StepCurve } from '../../core/projection/curves.js';
import type { StageProgress } from '../../core/projection/progress.js';
import { durationText, rateText } from './figures.js';

/** Speed and time left are judged by the last steps: the first are slower. */
const WINDOW_STEPS = 8;

export interface StageLine {
  readonly stage: string;
  readonly finished: boolean;
  readonly text: string;
}

export interface StageFacts {
  readonly progress: StageProgress;
  readonly curves: StageCurves | undefined;
  /** What goes on in it now, e.g. "evaluation, 12 of 800 episodes ended"; empty when nothing does. */
  readonly now: string;
}

export function stageLine(facts: StageFacts, nameWidth: number): StageLine {
  const { progress } = facts;
  const recent = (facts.curves?.steps ?? []).slice(-WINDOW_STEPS);
  const steps = progress.steps === undefined ? `${progress.step}` : `${progress.step}/${progress.steps}`;
  const parts = [`step ${steps.padStart(7)}`, figureText(recent), speedText(recent)];
  const evaluating = facts.now.startsWith('evaluation');
  // A finished stage may still owe its evaluation.
  const finished = progress.status === 'finished' && facts.now === '';
  if (finished) parts.push(tookText(progress.spent));
  else if (evaluating) parts.push(facts.now);
  else parts.push(timeLeftText(progress, recent), recent.length === 0 ? facts.now : '');
  return { stage: progress.stage, finished, text: `${progress.stage.padEnd(nameWidth)}  ${parts.filter((part) => part !== '').join('  ')}` };
}

function tookText({ wallSeconds, orchestrationSeconds }: StageProgress['spent']): string {
  const share = wallSeconds > 0 ? `, ${Math.round((100 * orchestrationSeconds) / wallSeconds)} % orchestration` : '';
  return `took ${durationText(wallSeconds)}${share}`;
}

function meanOver(steps: readonly StepCurve[], read: (step: StepCurve) => number | undefined): number | undefined {
  return meanOf(steps.flatMap((step) => read(step) ?? []));
}

/** The reward where the stage earns one and trains on it; else the loss. */
function figureText(recent: readonly StepCurve[]): string {
  const isDistillation = recent.some((step) => step.coverageByDomain.size > 0);
  const reward = isDistillation ? undefined : meanOver(recent, (step) => step.reward);
  if (reward !== undefined) return `reward ${reward.toFixed(3)}`;
  const loss = meanOver(recent.slice(-1), (step) => step.loss);
  const coverage = meanOver(recent.slice(-1), (step) => meanOf([...step.coverageByDomain.values()]));
  return [loss === undefined ? '' : `loss ${loss.toFixed(4)}`, coverage === undefined ? '' : `ρ ${coverage.toFixed(3)}`].filter((part) => part !== '').join('  ');
}

/** Tokens that the steps' episodes generated, or that the steps were trained on where nothing is sampled. */
function speedText(recent: readonly StepCurve[]): string {
  const seconds = recent.reduce((sum, step) => sum + step.spent.wallSeconds, 0);
  const generated = recent.reduce((sum, step) => sum + step.episodes.generatedTokens, 0);
  const trained = recent.reduce((sum, step) => sum + (step.stats.get('tokens')?.sum ?? 0), 0);
  const tokens = generated > 0 ? generated : trained;
  return seconds > 0 && tokens > 0 ? `${rateText(tokens / seconds)} tokens/s` : '';
}

function timeLeftText(progress: StageProgress, recent: readonly StepCurve[]): string {
  const perStep = meanOver(recent, (step) => step.spent.wallSeconds);
  if (progress.steps === undefined || perStep === undefined) return '';
  return `${durationText((progress.steps - progress.step) * perStep)} left`;
}
