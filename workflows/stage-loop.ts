/**
 * The loop of every stage: advance, roll out what it needs, advance again, until nothing is needed.
 * It holds no state of the training: `advance` reads the log and says what is next, so a lost workflow starts over at no loss.
 */
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { condition, continueAsNew, log, setCurrentDetails, setHandler, sleep, workflowInfo } from '@temporalio/workflow';
import type { Shard, ShardResult, StageNeeds, StageRef } from './activities.js';
import { control, progress, type Control, type StageProgress } from './messages.js';
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
  readonly continued?: { readonly step: number; readonly barren: number };
  /** Continue as new after this many advances; for tests. */
  readonly advancesPerHistory?: number;
}

export interface StageOutcome {
  /** False: stopped on request before it was done. */
  readonly finished: boolean;
  readonly step: number;
}

export interface StageLoop {
  readonly advance: (ref: StageRef, standing?: boolean) => Promise<StageNeeds>;
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
    paused: input.paused, stopRequested: false, stopStep: -1, step: input.continued?.step ?? 0, needs: undefined,
    advances: 0, barren: input.continued?.barren ?? 0, seen: '', finished: 0,
  };
  listen(input, state);
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
    if (!(await mayGoOn(state, loop))) return { finished: false, step: state.step };
    if (historyIsLong(input, state)) {
      await standing.end();
      await continueAsNew({ ...input, paused: state.paused, continued: { step: state.step, barren: state.barren } });
    }
    standing.begin();
    const needs = standing.any ? await Promise.race([loop.advance(ref, true), standing.failed()]) : await loop.advance(ref);
    observe(state, needs);
    if (needs.kind === 'done') return { finished: true, step: needs.step };
    await backOff(state);
    if (needs.kind !== 'rollouts') continue;
    if (!(await mayGoOn(state, loop))) return { finished: false, step: state.step };
    noteFinished(state, await rollOut(needs.shards));
  }
}

function listen(input: StageInput, state: LoopState): void {
  setHandler(control, ({ paused, stopRequested }) => {
    if (stopRequested && !state.stopRequested) state.stopStep = state.step;
    state.paused = paused;
    state.stopRequested = stopRequested;
    details(input, state);
  });
  setHandler(progress, (): StageProgress => ({
    run: input.run, stage: input.stage, step: state.step, steps: input.steps,
    paused: state.paused, stopRequested: state.stopRequested, ...(state.needs ? { needs: state.needs } : {}),
  }));
  details(input, state);
}

/** In the Temporal UI, while it waits. The step is in the query: details are set seldom. */
function details(input: StageInput, { paused, stopRequested }: LoopState): void {
  const doing = stopRequested ? 'stopping after the step it is in' : paused ? 'paused' : 'running';
  setCurrentDetails(`Stage **${input.stage}** of run \`${input.run}\`, ${input.steps} steps: ${doing}.`);
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
  const seen = JSON.stringify(needs);
  state.barren = seen === state.seen ? state.barren + 1 : 0;
  if (seen !== state.seen) state.finished = 0;
  state.seen = seen;
  state.needs = needs;
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
  const settled = await Promise.allSettled(shards.map((shard) => rollout.rolloutShard(shard)));
  return settled.map((outcome) => {
    if (outcome.status === 'fulfilled') return outcome.value;
    if (retriesExhausted(outcome.reason)) return { finished: 0, weightsMissing: false };
    throw outcome.reason;
  });
}

function retriesExhausted(error: unknown): boolean {
  return error instanceof ActivityFailure && (error.retryState === 'MAXIMUM_ATTEMPTS_REACHED' || error.retryState === 'TIMEOUT');
}
