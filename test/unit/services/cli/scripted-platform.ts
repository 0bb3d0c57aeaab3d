/**
 * Doors to a small real platform: the embedded log and the blob directory in a home of its own; instead of Temporal and a
 * sidecar a script writes a run's facts when it is submitted. Nothing is mocked that the command line reads.
 */
import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DOMAINS } from '../../../../core/environment.js';
import { StemmaError } from '../../../../core/errors.js';
import { episodeStream, runStream, stageStream } from '../../../../core/log/keys.js';
import type { Payload } from '../../../../core/log/keys.js';
import type { EventLog } from '../../../../core/ports.js';
import type { Recipe } from '../../../../core/recipe/recipe.js';
import { BlobRef, Event } from '../../../../proto/gen/stemma/v1/events.js';
import type { DeepPartial } from '../../../../proto/gen/stemma/v1/events.js';
import { openDirectorySweep } from '../../../../services/adapters/blob/directory-sweep.js';
import { openDirectoryBlobs } from '../../../../services/adapters/blob/directory.js';
import { openEmbeddedLogs } from '../../../../services/adapters/log/embedded.js';
import type { CliDeps } from '../../../../services/cli/deps.js';
import type { ControlRequest, Controls, Doors, Platform, Stores, SubmitRequest } from '../../../../services/cli/platform.js';
import type { Terminal } from '../../../../services/cli/terminal.js';
import { canonicalJson, sha256Hex } from '../../../../services/runtime/canonical-json.js';
import { claimStream } from '../../../../services/runtime/claimed-stream.js';
import { readConfig } from '../../../../services/runtime/config.js';
import { loadRecipe } from '../../../../services/runtime/recipe-schema.js';
import { recordFact } from '../../../../services/runtime/record-fact.js';
import { listenForShutdown } from '../../../../services/runtime/shutdown.js';
import { wordLevelTokenizer } from '../../../support/word-level-tokenizer.js';

type Said = DeepPartial<Event>['payload'];

const full = (said: Said): Payload => Event.fromPartial({ payload: said }).payload as Payload;
const NOTHING = { initial: () => null, evolve: () => null };

export interface Scripted {
  readonly deps: CliDeps;
  readonly home: string;
  readonly out: string[];
  readonly err: string[];
  readonly painted: string[];
  readonly controls: ControlRequest[];
  readonly submitted: SubmitRequest[];
  /** Emits process signals. */
  readonly signals: EventEmitter;
  /** Where the script stops: after the SFT stage has started, or with a failure; 'end' by default. */
  until: 'sft' | 'end' | 'failure';
  /** Whether `up` runs elsewhere. */
  isUp: boolean;
  /** Resolves when stderr or stdout first holds the text. */
  said(text: string): Promise<void>;
  close(): Promise<void>;
}

export async function scriptedPlatform(options: { readonly isTty?: boolean } = {}): Promise<Scripted> {
  const home = await mkdtemp(join(tmpdir(), 'stemma-cli-'));
  const heard = new EventEmitter();
  const lines = (kept: string[]) => (text: string): void => {
    kept.push(text);
    heard.emit('said');
  };
  const out: string[] = [];
  const err: string[] = [];
  const painted: string[] = [];
  const terminal: Terminal = { isTty: options.isTty ?? false, columns: () => 120, print: lines(out), say: lines(err), paint: lines(painted) };
  const signals = new EventEmitter();
  let clockMs = 0;
  let ids = 0;
  const scripted: Scripted = {
    home, out, err, painted, signals, controls: [], submitted: [], until: 'end', isUp: false,
    deps: {
      doors: () => Promise.resolve(doorsOf(scripted)), terminal,
      config: (settings) => readConfig({ STEMMA_HOME: home, STEMMA_LOG_LEVEL: 'silent' }, settings),
      listenForShutdown: (spec) => listenForShutdown({ ...spec, source: signals }),
      nowMs: () => (clockMs += 10_000), newId: () => `update-${(ids += 1)}`, exitNow: () => { throw new Error('ended at once'); },
    },
    async said(text) {
      while (![...out, ...err, ...painted].some((line) => line.includes(text))) await new Promise((resolve) => heard.once('said', resolve));
    },
    close: () => rm(home, { recursive: true, force: true }),
  };
  return scripted;
}

function doorsOf(scripted: Scripted): Doors {
  const notScripted = (): never => { throw new Error('not scripted'); };
  return {
    openCluster: notScripted, openRole: notScripted,
    openPlatform: () => openPlatform(scripted),
    openStores: () => openStores(scripted.home),
    async openCollection() {
      const stores = await openStores(scripted.home);
      const sweep = await openDirectorySweep(join(scripted.home, 'blobs'));
      return { logs: [stores.logs], blobs: stores.blobs, sweep, close: async () => { await sweep.close(); await stores.close(); } };
    },
    connect: async () => {
      if (!scripted.isUp) throw new StemmaError('gateway', 'UNAVAILABLE', 'no platform is running', 'Start one.');
      return controlsOf(scripted, () => Promise.resolve());
    },
    openCompute: () => Promise.reject(new StemmaError('trainer', 'UNAVAILABLE', 'no sidecar in this test', 'Use the integration tests.')),
  };
}

async function openStores(home: string): Promise<Stores & { close(): Promise<void> }> {
  const logs = await openEmbeddedLogs(join(home, 'log'));
  return { logs, blobs: await openDirectoryBlobs(join(home, 'blobs')), close: () => logs.close() };
}

function controlsOf(scripted: Scripted, play: (request: SubmitRequest) => Promise<void>): Controls {
  return {
    async submit(request) {
      scripted.submitted.push(request);
      await play(request);
    },
    async control(fact) {
      scripted.controls.push(fact);
      return { effectiveStep: 7 };
    },
    close: () => Promise.resolve(),
  };
}

async function openPlatform(scripted: Scripted): Promise<Platform> {
  const stores = await openStores(scripted.home);
  let playing = Promise.resolve();
  const controls = controlsOf(scripted, async (request) => {
    playing = play(scripted, stores, request);
  });
  return {
    ...stores, ...controls,
    addresses: { temporalUi: 'http://127.0.0.1:8233', metrics: 'http://127.0.0.1:9090/metrics', gateway: '', http: '' },
    peakMemoryMiB: () => Promise.resolve(321.4),
    async close() {
      await playing;
      await stores.close();
    },
  };
}

async function play(scripted: Scripted, stores: Stores, { run, recipe: name, seed }: SubmitRequest): Promise<void> {
  const log = await stores.logs.open(run, 'write');
  try {
    const fact = (said: Said): Promise<void> => recordFact(log, { stream: runStream(run), run }, full(said));
    const recipe = await loadRecipe(name);
    const manifest = await stores.blobs.put(new TextEncoder().encode(JSON.stringify(manifestOf(recipe, seed, await stores.blobs.put(new TextEncoder().encode(wordLevelTokenizer('')))))));
    await fact({ $case: 'runCreated', value: { run, recipe: recipe.name, seed: BigInt(seed), manifest, settingsHash: sha256Hex(canonicalJson(recipe)) } });
    await fact({ $case: 'stageStarted', value: { stage: 'sft', kind: 'sft', parent: { weightsHash: 'base0000' } } });
    if (scripted.until === 'sft') return;
    if (scripted.until === 'failure') return await fact({ $case: 'runFailed', value: { code: 'EXHAUSTED', boundary: 'scorer', message: 'too few members of tools' } });
    for (const stage of recipe.stages) await playStage(log, run, fact, { stage: stage.id, kind: stage.kind, evaluate: stage.evaluate });
    await fact({ $case: 'runFinished', value: { weightsHash: 'aaaa-distill' } });
  } finally {
    await log.close();
  }
}

interface StageScript {
  readonly stage: string;
  readonly kind: string;
  readonly evaluate: boolean;
}

/** One step a stage: two training episodes, a batch, a commit; accuracy by a formula that the tests know. */
async function playStage(log: EventLog, run: string, fact: (said: Said) => Promise<void>, { stage, kind, evaluate }: StageScript): Promise<void> {
  if (stage !== 'sft') await fact({ $case: 'stageStarted', value: { stage, kind, parent: { weightsHash: 'aaaa-sft' } } });
  const planner = await claimStream(log, { stream: stageStream(run, stage), role: 'planner', holder: 'test', run }, NOTHING);
  const episodes = [`${stage}.e0`, `${stage}.e1`];
  await planner.record(...([
    { $case: 'episodesRequested', value: { step: 1, purpose: 'train', weightsHash: 'aaaa-sft', episodes: episodes.map((episode, sample) => ({ episode, domain: 'search', task: 'search/train/1-hop/0', sample })) } },
  ] as Said[]).map(full));
  for (const episode of episodes) {
    const rollout = await claimStream(log, { stream: episodeStream(run, episode), role: 'rollout', holder: 'test', run }, NOTHING);
    await rollout.record(full({ $case: 'episodeEnded', value: { attempt: 1, status: 'completed', correct: true, reward: 1, generatedTokens: 10 } }));
  }
  const coverage = kind === 'distill' ? DOMAINS.map((domain) => ({ name: `coverage.${domain}`, sum: 9.5, count: 10 })) : [];
  await planner.record(...([
    { $case: 'batchClosed', value: { step: 1, batchId: `batch-${stage}`, members: episodes.map((member) => ({ member, domain: 'search', reward: 1, trainableTokens: 10 })), teacherWeightsHashes: kind === 'distill' ? { search: 'aaaa-search-rl' } : {} } },
    { $case: 'stepCommitted', value: { step: 1, batchId: `batch-${stage}`, weightsHash: `aaaa-${stage}`, stateHash: `s-${stage}`, stats: [{ name: 'loss', sum: 0.5, count: 1 }, { name: 'reward', sum: 1.5, count: 2 }, { name: 'correct', sum: 1, count: 2 }, { name: 'truncated', sum: 0, count: 2 }, { name: 'failed', sum: 0, count: 2 }, { name: 'generated_tokens', sum: 20, count: 2 }, ...coverage], spent: { wallSeconds: 2, computeSeconds: 1.5, waitingSeconds: 0.25 } } },
  ] as Said[]).map(full));
  await fact({ $case: 'stageFinished', value: { stage, steps: 1, result: { weightsHash: `aaaa-${stage}` } } });
  if (!evaluate) return;
  await fact({ $case: 'evaluationFinished', value: { stage, weightsHash: `aaaa-${stage}`, accuracy: DOMAINS.map((domain) => ({ domain, correct: accuracyOf(stage, domain), total: 100 })) } });
}

/** Of 100: SFT 50 everywhere, teachers 90 at home and 40 elsewhere, the student 85. */
export function accuracyOf(stage: string, domain: string): number {
  if (stage === 'sft') return 50;
  if (stage === 'distill') return 85;
  return stage.startsWith(domain) ? 90 : 40;
}

function manifestOf(recipe: Recipe, seed: number, tokenizer: BlobRef): unknown {
  return {
    recipe, seed: String(seed), code: { version: '0.1.0', revision: 'abc' }, environmentVersions: { search: 'search/1' }, corpus: {}, tokenizer: BlobRef.toJSON(tokenizer),
    chatTemplate: '', modelConfig: {}, baseWeightsHash: 'base0000', baseWeights: {}, fingerprint: { device: 'cpu', threads: 2 },
  };
}
