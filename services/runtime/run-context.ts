/** What every service needs to know of a run, read once from its manifest blob: nothing here is configured twice. */
import type { Domain, Environment } from '../../core/environment.js';
import { StemmaError } from '../../core/errors.js';
import { runStream } from '../../core/log/keys.js';
import type { BlobStore, EventLog, RunLogs } from '../../core/ports.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import { runFold } from '../../core/run/run.js';
import { createEnvironments } from '../../environments/registry.js';
import { BlobRef, type ModelState } from '../../proto/gen/stemma/v1/events.js';
import { openChat, type Chat } from './chat.js';
import { readFold } from './record-fact.js';

/** The frozen description of a run (docs/architecture.md, section 0). JSON; blob references as {sha256, length}. */
export interface Manifest {
  readonly recipe: Recipe;
  readonly seed: string;
  readonly code: { readonly version: string; readonly revision: string };
  readonly environmentVersions: { readonly [domain: string]: string };
  readonly corpus: unknown;
  readonly tokenizer: unknown;
  readonly chatTemplate: string;
  readonly modelConfig: unknown;
  readonly baseWeightsHash: string;
  readonly baseWeights: unknown;
  readonly fingerprint: unknown;
}

export interface RunContext {
  readonly run: string;
  readonly seed: bigint;
  readonly recipe: Recipe;
  readonly manifest: Manifest;
  readonly environments: { readonly [D in Domain]: Environment };
  readonly chat: Chat;
  readonly base: ModelState;
  readonly log: EventLog;
}

export interface RunContexts {
  get(run: string): Promise<RunContext>;
}

export function createRunContexts(logs: RunLogs, blobs: BlobStore, mode: 'write' | 'read' = 'write'): RunContexts {
  const cache = new Map<string, Promise<RunContext>>();
  return {
    get(run) {
      const known = cache.get(run) ?? loadRunContext(run, { logs, blobs, mode });
      cache.set(run, known);
      // A failed load is not remembered: the run may exist a moment later.
      known.catch(() => cache.delete(run));
      return known;
    },
  };
}

interface Loading {
  readonly logs: RunLogs;
  readonly blobs: BlobStore;
  readonly mode: 'write' | 'read';
}

async function loadRunContext(run: string, { logs, blobs, mode }: Loading): Promise<RunContext> {
  // Opened for writing a log is made: whoever asks for scores of a run that is not there must not make one.
  if (mode === 'write' && !(await logs.list()).includes(run)) throw new StemmaError('log', 'NOT_FOUND', 'there is no such run', 'Submit the run first.');
  const log = await logs.open(run, mode);
  const { state } = await readFold(log, runStream(run), runFold);
  const manifestRef = state.created?.manifest;
  if (!manifestRef) {
    throw new StemmaError('log', 'NOT_FOUND', `run ${run} has no manifest`, 'Submit the run first.');
  }
  const manifest = JSON.parse(new TextDecoder().decode(await blobs.get(manifestRef))) as Manifest;
  const tokenizer = await blobs.get(BlobRef.fromJSON(manifest.tokenizer));
  return {
    run, log, manifest,
    seed: BigInt(manifest.seed),
    recipe: manifest.recipe,
    environments: createEnvironments(manifest.recipe.environments),
    chat: openChat(new TextDecoder().decode(tokenizer)),
    base: { weightsHash: manifest.baseWeightsHash, stateHash: '', weights: BlobRef.fromJSON(manifest.baseWeights) },
  };
}
