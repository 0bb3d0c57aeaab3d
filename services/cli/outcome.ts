/** What came of a run: who scored what, and the one JSON line. Pure. */
import { DOMAINS } from '../../core/environment.js';
import type { Domain } from '../../core/environment.js';
import { NO_TEACHER } from '../../core/recipe/references.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import type { ByDomain } from '../report/domain-means.js';
import { hashText } from './figures.js';
import type { RunSnapshot } from './run-reader.js';

/** Greedy accuracy on held-out tasks, of the models that the recipe names. */
export interface Accuracy {
  /** What distillation starts from. */
  readonly sft: ByDomain;
  readonly teachers: { readonly [D in Domain]?: ByDomain };
  readonly student: ByDomain;
}

/** Printed as one line on stdout by --json; the shape is an interface of ours. */
export interface Outcome {
  readonly run: string;
  readonly seed: number;
  readonly weights: string;
  readonly seconds: { readonly total: number; readonly compute: number; readonly orchestration: number; readonly waiting: number };
  readonly accuracy: Accuracy;
  /** ρ at the last step of distillation. */
  readonly rho: ByDomain;
  readonly steps: { readonly [stage: string]: number };
  readonly episodes: number;
  readonly peakMemoryMiB: number;
}

/** The stage of the student: the last distillation. */
function studentStage(recipe: Recipe | undefined) {
  return recipe?.stages.filter((stage) => stage.kind === 'distill').at(-1);
}

function accuracyOf(snapshot: RunSnapshot, stage: string | undefined): ByDomain {
  const row = snapshot.progress.accuracy.find((each) => each.stage === stage);
  return byDomain((domain) => row?.accuracyByDomain.get(domain));
}

function byDomain<T>(read: (domain: Domain) => T | undefined): { [D in Domain]?: T } {
  const result: { [D in Domain]?: T } = {};
  for (const domain of DOMAINS) {
    const value = read(domain);
    if (value !== undefined) result[domain] = value;
  }
  return result;
}

export function accuracyByRole(snapshot: RunSnapshot): Accuracy {
  const recipe = snapshot.manifest?.recipe;
  const student = studentStage(recipe);
  return {
    sft: accuracyOf(snapshot, student?.init ?? recipe?.stages.find((stage) => stage.kind === 'sft')?.id),
    teachers: byDomain((domain) => {
      const stage = recipe?.teachers[domain];
      return stage === undefined || stage === NO_TEACHER ? undefined : accuracyOf(snapshot, stage);
    }),
    student: accuracyOf(snapshot, student?.id),
  };
}

/** Each domain's own teacher: what perfect routing among the teachers would score. */
export function routedOracle(accuracy: Accuracy): ByDomain {
  return byDomain((domain) => accuracy.teachers[domain]?.[domain]);
}

function lastCoverage(snapshot: RunSnapshot): ByDomain {
  const student = studentStage(snapshot.manifest?.recipe);
  const steps = snapshot.curves.find((each) => each.stage === student?.id)?.steps ?? [];
  return byDomain((domain) => steps.filter((step) => step.coverageByDomain.has(domain)).at(-1)?.coverageByDomain.get(domain));
}

/** Of the last finished stage; '' before there is one. */
export function lastWeights(snapshot: RunSnapshot): string {
  const { end } = snapshot.view.run;
  if (end?.status === 'finished') return end.weightsHash;
  return [...snapshot.view.run.stages.values()].flatMap((stage) => stage.result?.weightsHash ?? []).at(-1) ?? '';
}

export function outcomeOf(snapshot: RunSnapshot, peakMemoryMiB: number): Outcome {
  const { progress } = snapshot;
  const seconds = (value: number): number => Number(value.toFixed(3));
  const ended = progress.stages.map(({ episodes }) => episodes.completed + episodes.truncated + episodes.failed);
  return {
    run: snapshot.run,
    seed: Number(progress.seed),
    weights: hashText(lastWeights(snapshot)),
    seconds: {
      total: seconds(progress.spent.wallSeconds), compute: seconds(progress.spent.computeSeconds),
      orchestration: seconds(progress.spent.orchestrationSeconds), waiting: seconds(progress.spent.waitingSeconds),
    },
    accuracy: accuracyByRole(snapshot),
    rho: lastCoverage(snapshot),
    steps: Object.fromEntries(progress.stages.map(({ stage, step }) => [stage, step])),
    episodes: ended.reduce((sum, count) => sum + count, 0),
    peakMemoryMiB: Math.round(peakMemoryMiB),
  };
}
