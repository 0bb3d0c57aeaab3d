/** The first event of a run: everything that decides what it computes, frozen in one manifest blob. */
import { DOMAINS } from '../../core/environment.js';
import { runStream } from '../../core/log/keys.js';
import type { BlobStore, EventLog, Trainer } from '../../core/ports.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import { CHAT_TEMPLATE } from '../../environments/chat-template.js';
import { corpusText, createEnvironments, SPECIAL_TOKENS } from '../../environments/registry.js';
import { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import type { Attribution } from '../runtime/access/attribution.js';
import { canonicalJson, sha256Hex } from '../runtime/canonical-json.js';
import { openChat } from '../runtime/chat.js';
import { recordFact } from '../runtime/record-fact.js';
import type { Manifest } from '../runtime/run-context.js';
import { deriveSeed } from '../runtime/seed.js';

export interface CreateRunDeps {
  readonly blobs: BlobStore;
  readonly trainer: Trainer;
  readonly code: { readonly version: string; readonly revision: string };
}

export interface NewRun {
  readonly run: string;
  readonly recipe: Recipe;
  readonly seed: bigint;
  readonly who: Attribution;
}

export async function createRun(deps: CreateRunDeps, log: EventLog, { run, recipe, seed, who }: NewRun): Promise<void> {
  const environments = createEnvironments(recipe.environments);
  const encoder = new TextEncoder();
  const corpus = await deps.blobs.put(encoder.encode(corpusText(environments)));
  const tokenizer = await deps.trainer.trainTokenizer(corpus, recipe.tokenizer.vocabularySize, [...SPECIAL_TOKENS]);
  const { vocabularySize } = openChat(new TextDecoder().decode(await deps.blobs.get(tokenizer)));
  const modelConfig = { ...recipe.model.config, vocab_size: vocabularySize };
  const base = await deps.trainer.initializeModel(canonicalJson(modelConfig), deriveSeed([seed, 'base weights']));
  const { fingerprintJson } = await deps.trainer.status();
  const manifest: Manifest = {
    recipe, seed: seed.toString(), code: deps.code,
    environmentVersions: Object.fromEntries(DOMAINS.map((d) => [d, environments[d].version])),
    corpus: BlobRef.toJSON(corpus), tokenizer: BlobRef.toJSON(tokenizer), chatTemplate: CHAT_TEMPLATE, modelConfig,
    baseWeightsHash: base.weightsHash, baseWeights: BlobRef.toJSON(base.weights),
    fingerprint: JSON.parse(fingerprintJson) as unknown,
  };
  const blob = await deps.blobs.put(encoder.encode(canonicalJson(manifest)));
  await recordFact(log, { stream: runStream(run), run }, {
    $case: 'runCreated',
    value: { run, recipe: recipe.name, seed, manifest: blob, settingsHash: sha256Hex(canonicalJson(recipe)), ...who },
  });
}
