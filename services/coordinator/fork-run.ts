/**
 * Making a fork (docs/decisions/fork.md): RunForked, then the shared episodes, stages and run facts, RunCreated last.
 * Until RunCreated is there nobody takes the log for a run. Ids follow from the facts, so an interrupted fork is made
 * again over what is there.
 */
import { isEnded, episodeFold } from '../../core/episode/episode.js';
import { StemmaError } from '../../core/errors.js';
import { foldStream } from '../../core/log/fold.js';
import { episodeStream, runStream, stageStream, type Payload } from '../../core/log/keys.js';
import type { BlobStore, EventLog, RunLogs, StoredEvent, Trainer } from '../../core/ports.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import { amendedRecipe, amendmentProblem, knownSettings, settingPath } from '../../core/run/amend.js';
import { countedEvents, forkedFrom, isSharedByRun, sharedByStage, stagesBefore } from '../../core/run/fork.js';
import { runFold } from '../../core/run/run.js';
import { stageFold } from '../../core/stage/stage.js';
import type { Event, RunForked } from '../../proto/gen/stemma/v1/events.js';
import type { ForkInput } from '../../workflows/activities.js';
import type { Attribution } from '../runtime/access/attribution.js';
import { chunksOf } from '../runtime/chunks.js';
import { compareFingerprints } from '../runtime/fingerprint.js';
import { newEvent } from '../runtime/new-event.js';
import { parseRecipeValue } from '../runtime/recipe-schema.js';
import { recordFact } from '../runtime/record-fact.js';
import { createRunContexts, type Manifest } from '../runtime/run-context.js';

export interface ForkDeps {
  readonly logs: RunLogs;
  readonly blobs: BlobStore;
  readonly trainer: Pick<Trainer, 'status'>;
}

export interface ForkPlan {
  readonly forked: Omit<RunForked, keyof Attribution>;
  /** As asked for, the settings with their whole paths. */
  readonly fork: ForkInput;
  /** The parent's, as its manifest has it. */
  readonly recipe: Recipe;
  readonly seed: bigint;
  readonly fingerprint: Manifest['fingerprint'];
}

/** All that can be refused, before anything is written: NOT_FOUND for the parent, INVALID for the step or a setting. */
export async function planFork(deps: Pick<ForkDeps, 'logs' | 'blobs'>, fork: ForkInput): Promise<ForkPlan> {
  const { recipe, seed, manifest, log } = await createRunContexts(deps.logs, deps.blobs, 'read').get(fork.parent);
  try {
    const settings = checkedSettings(recipe, fork);
    const { state: run } = foldStream(runFold, await log.readStream(runStream(fork.parent)));
    const stored = await log.readStream(stageStream(fork.parent, fork.stage));
    const { state: stage } = foldStream(stageFold, stored);
    return { recipe, seed, fork: { ...fork, settings }, fingerprint: manifest.fingerprint, forked: forkedFrom(fork, run, { stage, position: commitPosition(stored, fork.step) }) };
  } finally {
    await log.close();
  }
}

export interface NewFork {
  readonly run: string;
  readonly plan: ForkPlan;
  readonly who: Attribution;
}

/** Idempotent until RunCreated is there. */
export async function forkRun(deps: Pick<ForkDeps, 'logs' | 'trainer'>, log: EventLog, { run, plan, who }: NewFork): Promise<void> {
  const { fork, forked, recipe, fingerprint } = plan;
  await assertSameDevice(deps, fork.parent, fingerprint);
  await recordFact(log, { stream: runStream(run), run }, { $case: 'runForked', value: { ...forked, ...who } });
  const parent = await deps.logs.open(fork.parent, 'read');
  try {
    const before = stagesBefore(recipe.stages, fork.stage);
    const copy: Copy = { parent, log, run, fork };
    for (const stage of [...before, fork.stage]) await copyStage(copy, stage, stage === fork.stage ? fork.step : Infinity);
    await copyRun(copy, new Set(before));
  } finally {
    await parent.close();
  }
}

function checkedSettings(recipe: Recipe, { stage, settings }: ForkInput): ForkInput['settings'] {
  const found = recipe.stages.find(({ id }) => id === stage);
  if (!found) throw new StemmaError('gateway', 'NOT_FOUND', `recipe ${recipe.name} has no stage '${stage}'`, `Its stages: ${recipe.stages.map(({ id }) => id).join(', ')}.`);
  const whole = settings.map(({ path, value }) => ({ path: settingPath(found, path), value }));
  const problems = whole.flatMap(({ path, value }) => amendmentProblem(found, path, value) ?? []);
  if (problems.length > 0) {
    throw new StemmaError('gateway', 'INVALID', problems.join('; '), `Settings of ${stage} that a fork may change: ${knownSettings(found).join(', ')}.`);
  }
  const changed = whole.reduce<unknown>((value, { path, value: to }) => amendedRecipe(value as Recipe, stage, path, to), recipe);
  parseRecipeValue(changed, `the fork's settings of ${stage}`);
  return whole;
}

function commitPosition(stored: readonly StoredEvent[], step: number): number {
  return stored.find(({ event: { payload } }) => payload?.$case === 'stepCommitted' && payload.value.step === step)?.position ?? 0;
}

/** On another device the shared steps would not recompute, and the fork's weights would not be the fold of its log. */
async function assertSameDevice({ trainer }: Pick<ForkDeps, 'trainer'>, parent: string, fingerprint: unknown): Promise<void> {
  const { same, here, recorded } = compareFingerprints((await trainer.status()).fingerprintJson, fingerprint);
  if (same) return;
  throw new StemmaError('setup', 'INVALID', `run ${parent} was computed as ${recorded} and its fork would go on as ${here}`,
    'Fork it where it ran, with the same device, threads and Python environment.');
}

interface Copy {
  readonly parent: EventLog;
  readonly log: EventLog;
  readonly run: string;
  readonly fork: ForkInput;
}

/** The stage's shared facts, after the ended episodes that they ask for: whoever finds a request finds what came of it. */
async function copyStage(copy: Copy, stage: string, step: number): Promise<void> {
  const { state: counted } = foldStream(countedEvents, await copy.parent.readStream(stageStream(copy.fork.parent, stage)));
  const shared = step === Infinity ? counted : sharedByStage(counted, step);
  const episodes = shared.flatMap(({ payload }) => (payload?.$case === 'episodesRequested' ? payload.value.episodes.map(({ episode }) => episode) : []));
  for (const chunk of chunksOf(episodes)) await Promise.all(chunk.map((episode) => copyEpisode(copy, episode)));
  await append(copy, stageStream(copy.run, stage), withClaims(counted, shared));
}

/** One that has not ended is in flight, and stays the parent's: the fork samples it anew, from the same seed. */
async function copyEpisode(copy: Copy, episode: string): Promise<void> {
  const stored = await copy.parent.readStream(episodeStream(copy.fork.parent, episode));
  if (!isEnded(foldStream(episodeFold, stored).state)) return;
  const { state: counted } = foldStream(countedEvents, stored);
  await append(copy, episodeStream(copy.run, episode), counted);
}

async function copyRun(copy: Copy, before: ReadonlySet<string>): Promise<void> {
  const { fork, run } = copy;
  const { state: counted } = foldStream(countedEvents, await copy.parent.readStream(runStream(fork.parent)));
  const shared = counted.filter(({ payload }) => payload && isSharedByRun(payload, fork, before));
  const created = shared.filter(({ payload }) => payload?.$case === 'runCreated');
  await append(copy, runStream(run), shared.filter((event) => !created.includes(event)));
  for (const { path, value } of fork.settings) {
    await recordFact(copy.log, { stream: runStream(run), run }, {
      $case: 'settingAmended',
      value: { updateId: `fork/${run}/${path}`, by: 'fork', origin: '', stage: fork.stage, fromStep: fork.step + 1, path, valueJson: JSON.stringify(value) },
    });
  }
  await append(copy, runStream(run), created);
}

/** Claims whose facts are all left out say nothing. */
function withClaims(counted: readonly Event[], shared: readonly Event[]): Event[] {
  const kept = new Set(shared);
  const claims = new Set(shared.map(({ claim }) => claim));
  return counted.filter((event) => kept.has(event) || (event.payload?.$case === 'claimed' && claims.has(event.payload.value.claimId)));
}

/** The same facts under the same claims on another stream; each names the one it repeats as its cause. */
async function append({ log, run }: Copy, stream: string, events: readonly Event[]): Promise<void> {
  const seqs = new Map<string, number>();
  const copies = events.map((event) => {
    const seq = event.claim === '' ? 0 : (seqs.get(event.claim) ?? 0) + 1;
    seqs.set(event.claim, seq);
    const payload = ofRun(event.payload as Payload, run);
    return { ...newEvent({ stream, run, claim: event.claim, seq, causationId: event.id }, payload), recordedAtMs: event.recordedAtMs };
  });
  await log.append(copies);
}

function ofRun(payload: Payload, run: string): Payload {
  return payload.$case === 'runCreated' ? { ...payload, value: { ...payload.value, run } } : payload;
}
