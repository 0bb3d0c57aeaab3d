/**
 * The loop of every stage: advance, roll out what it needs, advance again, until nothing is needed.
 * It holds no state of the training: `advance` reads the log and says what is next, so a lost workflow starts over at no loss.
 */
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { condition, continueAsNew, log, setCurrentDetails, setHandler, sleep, workflowInfo } from '@temporalio/workflow';
import type { StageFigures } from '../core/projection/figures.js';
import type { Shard, ShardResult, StageNeeds, StageRef } from './activities.js';
import { stagePage } from './details.js';
import { control, progress, type Control, type RunStatus, type StageProgress, type Stepped } from './messages.js';
import { rollout } from './proxies.js';
import { standingRollouts, type StandingRollouts } from './standing-rollouts.js';

export interface StageInput extends StageRef {
  readonly steps: number;
  readonly domain?: string;
  /** Standing rollouts; see StagePlan. */
  readonly slots?: number;
  /** As the run knew it when it started the stage; later changes come by signal. */
  readonly paused: boolean;
  /** Set by continue-as-new. */
  readonly continued?: { readonly step: number; readonly barren: number; readonly figures?: StageFigures };
  /** Continue as new after this many advances; for tests. */
  readonly advancesPerHistory?: number;
}

export interface StageOutcome {
  /** False: stopped on request before it was done. */
  readonly finished: boolean;
  readonly step: number;
  /** Absent in histories of earlier versions. */
  readonly figures?: StageFigures;
}

/** What others learn of a stage, each at no trip of its own: nobody waits for it. */
export interface Telling {
  /** Search. */
  status(status: RunStatus): void;
  /** The run's page. An advance takes steps for half a minute, so this is rare. */
  steps(stepped: Stepped): void;
}

export interface StageLoop {
  /** Called as the summary says in the Temporal UI. */
  readonly advance: (summary: string) => (ref: StageRef, standing?: boolean) => Promise<StageNeeds>;
  readonly tell: Telling;
  /** A stop lets the step it is in come to its end. */
  readonly finishesStep: boolean;
}

const ADVANCES_PER_HISTORY = 150;
/** Advances in a row that brought nothing new. */
const BARREN_ADVANCES = 20;
const LONGEST_BARREN_WAIT_MS = 5000;

interface LoopState extends Control {
  paused: boolean;
  stopRequested: boolean;
  /** The step it was in when the stop came. */
  stopStep: number;
  step: number;
  figures: StageFigures;
  needs: StageNeeds | undefined;
  advances: number;
  barren: number;
  /** What the last needs were, to see whether the next are others, and how many episodes they had finished. */
  seen: string;
  finished: number;
}

export async function driveStage(input: StageInput, loop: StageLoop): Promise<StageOutcome> {
  const ref: StageRef = { run: input.run, stage: input.stage };
  const state: LoopState = {
    paused: input.paused, stopRequested: false, stopStep: -1, step: input.continued?.step ?? 0, figures: input.continued?.figures ?? {}, needs: undefined,
    advances: 0, barren: input.continued?.barren ?? 0, seen: '', finished: 0,
  };
  listen(input, state, loop);
  const standing = standingRollouts(ref, input.slots ?? 0);
  try {
    return await untilDone(input, loop, { ref, state, standing });
  } finally {
    await standing.end();
  }
}

interface Driving {
  readonly ref: StageRef;
  readonly state: LoopState;
  readonly standing: StandingRollouts;
}

async function untilDone(input: StageInput, loop: StageLoop, { ref, state, standing }: Driving): Promise<StageOutcome> {
  for (;;) {
    if (state.paused) await standing.end();
    if (!(await mayGoOn(state, loop))) return outcome(state, false);
    if (historyIsLong(input, state)) {
      await standing.end();
      await continueAsNew({ ...input, paused: state.paused, continued: { step: state.step, barren: state.barren, figures: state.figures } });
    }
    standing.begin();
    const advance = loop.advance(`${ref.stage}: on from step ${state.step} of ${input.steps}`);
    const needs = standing.any ? await Promise.race([advance(ref, true), standing.failed()]) : await advance(ref);
    observe(state, needs);
    showStage(input, state);
    if (needs.kind === 'done') return outcome(state, true);
    if (needs.figures) loop.tell.steps({ stage: ref.stage, step: state.step, figures: state.figures });
    await backOff(state);
    if (needs.kind !== 'rollouts') continue;
    if (!(await mayGoOn(state, loop))) return outcome(state, false);
    noteFinished(state, await rollOut(needs.shards));
  }
}

function outcome({ step, figures }: LoopState, finished: boolean): StageOutcome {
  return { finished, step, figures };
}

function listen(input: StageInput, state: LoopState, loop: StageLoop): void {
  setHandler(control, ({ paused, stopRequested }) => {
    if (stopRequested && !state.stopRequested) state.stopStep = state.step;
    state.paused = paused;
    state.stopRequested = stopRequested;
    loop.tell.status(stopRequested ? 'stopping' : paused ? 'paused' : 'running');
    showStage(input, state);
  });
  setHandler(progress, (): StageProgress => ({
    run: input.run, stage: input.stage, step: state.step, steps: input.steps,
    paused: state.paused, stopRequested: state.stopRequested, ...(state.needs ? { needs: state.needs } : {}),
  }), { description: 'Where the stage is.' });
  showStage(input, state);
}

/** Its page in the Temporal UI. */
function showStage({ run, stage, steps }: StageInput, { paused, stopRequested, step, figures }: LoopState): void {
  const doing = stopRequested ? 'stopping after the step it is in' : paused ? 'paused' : 'running';
  setCurrentDetails(stagePage({ run, id: stage, doing, step, steps, figures }));
}

/** Waits while paused. False: stop here. */
async function mayGoOn(state: LoopState, loop: StageLoop): Promise<boolean> {
  await condition(() => !state.paused || state.stopRequested);
  if (!state.stopRequested) return true;
  const inMiddleOfStep = loop.finishesStep && state.needs !== undefined && state.step <= state.stopStep;
  return inMiddleOfStep && !state.paused;
}

/** Asked only right before an advance, when no activity is pending: what the next execution needs is in the log. */
function historyIsLong(input: StageInput, state: LoopState): boolean {
  if (state.stopRequested || state.advances === 0) return false;
  return workflowInfo().continueAsNewSuggested || state.advances >= (input.advancesPerHistory ?? ADVANCES_PER_HISTORY);
}

/** The same needs again are no progress: a bounded number, each later than the one before. */
function observe(state: LoopState, needs: StageNeeds): void {
  const { figures: _figures, ...what } = needs;
  const seen = JSON.stringify(what);
  state.barren = seen === state.seen ? state.barren + 1 : 0;
  if (seen !== state.seen) state.finished = 0;
  state.seen = seen;
  state.needs = needs;
  state.figures = { ...state.figures, ...needs.figures };
  state.step = needs.step;
  state.advances += 1;
}

/** A shard counts the episodes of its earlier attempts too: only more than before is progress. */
function noteFinished(state: LoopState, results: readonly ShardResult[]): void {
  const finished = results.reduce((sum, result) => sum + result.finished, 0);
  if (finished > state.finished) state.barren = 0;
  state.finished = finished;
}

async function backOff({ barren, needs }: LoopState): Promise<void> {
  if (barren === 0) return;
  if (barren >= BARREN_ADVANCES) {
    throw ApplicationFailure.nonRetryable(`step ${needs?.step} needs the same again after ${barren} advances without progress`, 'EXHAUSTED');
  }
  log.warn('no progress since the last advance', { barren });
  await sleep(Math.min(LONGEST_BARREN_WAIT_MS, 100 * 2 ** barren));
}

/** All shards at once, and all settled before it returns: what is left open the next advance plans again. */
async function rollOut(shards: readonly Shard[]): Promise<ShardResult[]> {
  const settled = await Promise.allSettled(shards.map((shard) => rollout(`${shard.stage} step ${shard.step}: episodes ${shard.from + 1} to ${shard.to}`).rolloutShard(shard)));
  return settled.map((outcome) => {
    if (outcome.status === 'fulfilled') return outcome.value;
    if (retriesExhausted(outcome.reason)) return { finished: 0, weightsMissing: false };
    throw outcome.reason;
  });
}

function retriesExhausted(error: unknown): boolean {
  return error instanceof ActivityFailure && (error.retryState === 'MAXIMUM_ATTEMPTS_REACHED' || error.retryState === 'TIMEOUT');
}
