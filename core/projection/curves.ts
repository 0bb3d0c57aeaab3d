/**
 * Learning curves: per stage and step the figures of StepCommitted as sums and counts, so that readers can
 * average over any span, and what became of the step's episodes. A step committed again after a crash
 * counts once: the first commit in stream order.
 */
import type { EpisodesRequested, Spent, Stat, StepCommitted } from '../../proto/gen/stemma/v1/events.js';
import { episodeCounts, type EpisodeCounts } from './episode-counts.js';
import type { StageFacts } from './facts.js';
import type { RunView } from './run-view.js';

export interface SumCount {
  readonly sum: number;
  readonly count: number;
}

export interface StepCurve {
  readonly step: number;
  /** By the stat's name; figures of one domain are named `<stat>.<domain>`. */
  readonly stats: ReadonlyMap<string, SumCount>;
  /** ρ: mean student mass on the teacher's top k, by domain; only distillation has it. */
  readonly coverageByDomain: ReadonlyMap<string, number>;
  /** Means; undefined where the stage has no such figure. */
  readonly loss: number | undefined;
  readonly reward: number | undefined;
  readonly episodes: EpisodeCounts;
  readonly spent: Spent;
}

export interface StageCurves {
  readonly stage: string;
  readonly kind: string;
  /** Committed steps in order. */
  readonly steps: readonly StepCurve[];
}

/** The prefix of the per-domain coverage stats. */
const COVERAGE = 'coverage.';
const NOTHING_SPENT: Spent = { wallSeconds: 0, computeSeconds: 0, waitingSeconds: 0 };

export function curvesOf(view: RunView): StageCurves[] {
  return [...view.stages].map(([stage, facts]) => ({
    stage,
    kind: view.run.stages.get(stage)?.started.kind ?? '',
    steps: committedSteps(facts).map((committed) => stepCurve(committed, episodeCounts(view, stage, trainRequests(facts, committed.step)))),
  }));
}

/** One commit a step, in step order. */
export function committedSteps(facts: StageFacts): StepCommitted[] {
  const byStep = new Map<number, StepCommitted>();
  for (const committed of facts.committed) {
    if (!byStep.has(committed.step)) byStep.set(committed.step, committed);
  }
  return [...byStep.values()].sort((a, b) => a.step - b.step);
}

/** undefined where there are none. */
export function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function mean(stat: SumCount | undefined): number | undefined {
  return stat === undefined || stat.count === 0 ? undefined : stat.sum / stat.count;
}

function trainRequests(facts: StageFacts, step: number): EpisodesRequested[] {
  return facts.requested.filter((request) => request.step === step && request.purpose === 'train');
}

function stepCurve(committed: StepCommitted, episodes: EpisodeCounts): StepCurve {
  const stats = statsByName(committed.stats);
  return {
    step: committed.step,
    stats,
    coverageByDomain: coverageByDomain(stats),
    loss: mean(stats.get('loss')),
    reward: mean(stats.get('reward')),
    episodes,
    spent: committed.spent ?? NOTHING_SPENT,
  };
}

/** Stats of one name are added: a name may come from several shards of a step. */
export function statsByName(stats: readonly Stat[]): Map<string, SumCount> {
  const byName = new Map<string, SumCount>();
  for (const { name, sum, count } of stats) {
    const before = byName.get(name) ?? { sum: 0, count: 0 };
    byName.set(name, { sum: before.sum + sum, count: before.count + count });
  }
  return byName;
}

export function coverageByDomain(stats: ReadonlyMap<string, SumCount>): Map<string, number> {
  const result = new Map<string, number>();
  for (const [name, stat] of stats) {
    const value = mean(stat);
    if (name.startsWith(COVERAGE) && value !== undefined) result.set(name.slice(COVERAGE.length), value);
  }
  return result;
}
