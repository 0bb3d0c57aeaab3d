/**
 * What can be said to a running workflow and asked of it. Updates and the query have the same names in the Temporal UI,
 * the CLI and the gateway. An update's id is the key of the fact it appends: the same update sent twice is one fact.
 */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { StageFigures } from '../core/projection/figures.js';
import type { StageNeeds } from './activities.js';

/**
 * Who asks, from where. The gateway seals what it says; anything else is taken too (the Temporal UI can send an update with
 * no input), and recorded as unverified.
 */
export interface Asked {
  readonly by?: string;
  readonly origin?: string;
  readonly seal?: string;
}

export interface Amendment extends Asked {
  readonly stage: string;
  /** Dotted path of the setting in the stage's recipe, e.g. optimizer.learningRate. */
  readonly path: string;
  readonly value: unknown;
}

export interface ControlAnswer {
  /** The first step it holds for; 0: from now on. */
  readonly effectiveStep: number;
}

export const pause = defineUpdate<ControlAnswer, [Asked]>('pause');
export const resume = defineUpdate<ControlAnswer, [Asked]>('resume');
/** The run ends after the step it is in; a paused one at once. */
export const stop = defineUpdate<ControlAnswer, [Asked]>('stop');
export const amend = defineUpdate<ControlAnswer, [Amendment]>('amend');

/** What the run tells its running stage. Whole state, not a change: the last one wins. */
export interface Control {
  readonly paused: boolean;
  readonly stopRequested: boolean;
}
export const control = defineSignal<[Control]>('control');

/** What a stage tells its run after an advance that did not end it. */
export interface Stepped {
  readonly stage: string;
  /** Taken. */
  readonly step: number;
  readonly figures: StageFigures;
}
export const stepped = defineSignal<[Stepped]>('stepped');

export type RunStatus = 'opening' | 'running' | 'evaluating' | 'paused' | 'stopping' | 'finished' | 'stopped' | 'failed';

export interface RunProgress {
  readonly run: string;
  readonly recipe: string;
  readonly status: RunStatus;
  readonly paused: boolean;
  readonly stopRequested: boolean;
  /** Of the stage running or just finished; '' before the first. Its own workflow is `<run>/<stage>`. */
  readonly stage: string;
  /** 1-based. */
  readonly stageNumber: number;
  readonly stages: number;
  /** Steps the stage will take. */
  readonly steps: number;
}

export interface StageProgress extends Control {
  readonly run: string;
  readonly stage: string;
  /** The step it is in. */
  readonly step: number;
  readonly steps: number;
  readonly needs?: StageNeeds;
}

export const progress = defineQuery<RunProgress | StageProgress>('progress');
/** By stage, one line. */
export const stages = defineQuery<{ readonly [stage: string]: string }>('stages');
/** By update, what to type. */
export const help = defineQuery<{ readonly [update: string]: string }>('help');
