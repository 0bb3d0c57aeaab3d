/**
 * Learning figures by step, a row each: exact, where a Prometheus sees only what had changed between two scrapes.
 * The gateway's GetSeries answers them, and the report is drawn from them.
 */
import { mean, type StageCurves } from './curves.js';

export interface FigurePoint {
  readonly stage: string;
  readonly kind: string;
  readonly step: number;
  /** As StepCommitted names it; figures of one domain are `<figure>.<domain>`. */
  readonly figure: string;
  readonly sum: number;
  readonly count: number;
  /** sum / count; undefined where nothing was counted. */
  readonly mean: number | undefined;
}

export interface SeriesChoice {
  /** '' is all. */
  readonly stage: string;
  /** None: all. A figure's name stands for its figures by domain too. */
  readonly figures: readonly string[];
}

export const EVERYTHING: SeriesChoice = { stage: '', figures: [] };

/** In the order of stages, steps and, within a step, as it was recorded. */
export function seriesOf(curves: readonly StageCurves[], { stage, figures }: SeriesChoice): FigurePoint[] {
  const wanted = (figure: string): boolean => figures.length === 0 || figures.some((name) => figure === name || figure.startsWith(`${name}.`));
  return curves.filter((each) => stage === '' || each.stage === stage).flatMap(({ stage: id, kind, steps }) => steps.flatMap(({ step, stats }) =>
    [...stats].filter(([figure]) => wanted(figure)).map(([figure, stat]) => ({ stage: id, kind, step, figure, ...stat, mean: mean(stat) }))));
}
