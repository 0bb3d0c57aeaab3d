/** Everything the report shows, as plain data: tests feed it without a log. */
import type { Domain } from '../../core/environment.js';
import type { ByDomain } from './domain-means.js';

export interface Point {
  readonly step: number;
  readonly value: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

/** Figures of a stage, each a curve over its steps; empty where the stage has no such figure. */
export interface StageCurveData {
  readonly reward: readonly Point[];
  /** What the reward is the sum of, a series a component. */
  readonly rewardComponents: readonly Series[];
  readonly loss: readonly Point[];
  readonly entropy: readonly Point[];
  readonly kl: readonly Point[];
  readonly clipFraction: readonly Point[];
  readonly gradientNorm: readonly Point[];
  /** Distillation only, a series a domain. */
  readonly svaLoss: readonly Series[];
  readonly coverage: readonly Series[];
}

export interface StageSeconds {
  readonly compute: number;
  readonly orchestration: number;
  readonly waiting: number;
}

export interface StageData {
  readonly stage: string;
  readonly kind: string;
  readonly status: string;
  readonly steps: number;
  readonly episodes: { readonly completed: number; readonly truncated: number; readonly failed: number };
  readonly seconds: StageSeconds;
  readonly curves: StageCurveData;
}

/** One evaluated model: greedy accuracy on held-out tasks. */
export interface AccuracyData {
  readonly name: string;
  /** What the table and the bars show it as. */
  readonly role: 'sft' | 'teacher' | 'student' | 'other';
  /** Of a teacher: the domain it teaches. */
  readonly teaches: Domain | null;
  readonly values: ByDomain;
}

export interface Fact {
  readonly name: string;
  readonly value: string;
}

export interface ReportData {
  readonly run: string;
  readonly recipe: string;
  readonly description: string;
  readonly status: string;
  /** Why it failed or stopped; '' otherwise. */
  readonly detail: string;
  readonly stages: readonly StageData[];
  readonly accuracy: readonly AccuracyData[];
  /** Held-out tasks a domain. */
  readonly tasksPerDomain: number;
  readonly facts: readonly Fact[];
}
