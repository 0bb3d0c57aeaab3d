/**
 * The real compute sidecar with a tiny random model, for contract and integration tests.
 * Its Python is STEMMA_PYTHON, else what set-up wrote; without one such tests are skipped by name, and fail under CI=true.
 */
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { BlobStore } from '../../core/ports.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import { sidecarSampler, type SidecarSampler } from '../../services/adapters/sampler/sidecar.js';
import { sidecarScorer, type SidecarScorer } from '../../services/adapters/scorer/sidecar.js';
import { sidecarTrainer, type SidecarTrainer } from '../../services/adapters/trainer/sidecar.js';
import { startSidecar, type SidecarProcess } from '../../services/runtime/sidecar-process.js';
import { describeUnlessLacking, setUpPart } from './set-up-part.js';

const ROOT = resolve(import.meta.dirname, '../..');

export const VOCABULARY_SIZE = 64;

/** Two layers of almost nothing: enough to tell a right answer from a wrong one. */
export const TINY_MODEL = JSON.stringify({
  model_type: 'qwen3', vocab_size: VOCABULARY_SIZE, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2,
  num_attention_heads: 2, num_key_value_heads: 1, head_dim: 8, max_position_embeddings: 128, tie_word_embeddings: true,
});

const pythonPath = (): string => process.env['STEMMA_PYTHON'] || setUpPart('python');

/** A suite that needs the sidecar. */
export function describeWithSidecar(name: string, suite: () => void): void {
  describeUnlessLacking(pythonPath() === '' ? 'no Python for the sidecar: run `npm run setup`, or set STEMMA_PYTHON' : '', name, suite);
}

export interface RealSidecar {
  readonly process: SidecarProcess;
  readonly blobs: BlobStore;
  readonly sampler: SidecarSampler;
  readonly scorer: SidecarScorer;
  readonly trainer: SidecarTrainer;
  readonly directory: string;
  readonly logFile: string;
  /** Where it may export. */
  readonly exports: string;
  /** A random model with TINY_MODEL's shape, in the blob store. */
  model(seed: bigint): Promise<{ weightsHash: string; weights: BlobRef }>;
  close(): Promise<void>;
}

export async function openRealSidecar(): Promise<RealSidecar> {
  const directory = await mkdtemp(join(tmpdir(), 'stemma-sidecar-'));
  const blobsDirectory = join(directory, 'blobs');
  const blobs = await openDirectoryBlobs(blobsDirectory);
  const logFile = join(directory, 'sidecar.log');
  const exports = join(directory, 'exports');
  const python = pythonPath();
  await access(python);
  const process = await startSidecar({ python, kernelsDirectory: join(ROOT, 'kernels'), blobs: blobsDirectory, threads: 1, logFile, exports })
    .catch(async (error: unknown) => { throw new Error(`${String(error)}\n${await readFile(logFile, 'utf8').catch(() => '')}`, { cause: error }); });
  const [sampler, scorer, trainer] = [sidecarSampler(process.address), sidecarScorer(process.address), sidecarTrainer(process.address)];
  return {
    process, blobs, sampler, scorer, trainer, directory, logFile, exports,
    model: (seed) => trainer.initializeModel(TINY_MODEL, seed),
    async close() {
      for (const adapter of [sampler, scorer, trainer]) adapter.close();
      await process.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
