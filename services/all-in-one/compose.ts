/** Every service of the recipe in one process over one log: stores, sidecar, adapters and the activities that Temporal calls. */
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { BlobStore, RunLogs, Trainer } from '../../core/ports.js';
import type { DistillerActivities, LearnerActivities, RolloutActivities, RunActivities } from '../../workflows/activities.js';
import { openDirectoryBlobs } from '../adapters/blob/directory.js';
import { sidecarSampler } from '../adapters/sampler/sidecar.js';
import { sidecarScorer } from '../adapters/scorer/sidecar.js';
import { sidecarTrainer } from '../adapters/trainer/sidecar.js';
import { createRunActivities } from '../coordinator/run-activities.js';
import { advanceDistill } from '../distiller/advance-distill.js';
import { advanceRl } from '../learner/advance-rl.js';
import { advanceSft } from '../learner/advance-sft.js';
import { advanceEvaluation } from '../rollout/evaluation.js';
import { createRolloutMetrics } from '../rollout/metrics.js';
import { createRolloutActivities } from '../rollout/rollout-shard.js';
import type { Config } from '../runtime/config.js';
import type { Logger } from '../runtime/logger.js';
import { openLogs } from '../runtime/open-logs.js';
import { createRunContexts, type RunContexts } from '../runtime/run-context.js';
import { startSidecar, type SidecarProcess } from '../runtime/sidecar-process.js';
import { teacherScoringClient } from '../teacher-scoring/client.js';
import { createScoringMetrics } from '../teacher-scoring/metrics.js';
import { serveTeacherScoring } from '../teacher-scoring/server.js';
import { createTeacherScoring } from '../teacher-scoring/teacher-scoring.js';
import { createRouter } from '../training/routing.js';
import type { TrainingDeps } from '../training/session.js';
import { startStopwatch } from '../training/stopwatch.js';
import { codeVersion } from './code-version.js';

export interface Activities {
  readonly worker: RunActivities;
  readonly learner: LearnerActivities;
  readonly distiller: DistillerActivities;
  readonly rollout: RolloutActivities;
}

export interface Services {
  readonly activities: Activities;
  readonly logs: RunLogs;
  readonly blobs: BlobStore;
  readonly trainer: Trainer;
  readonly contexts: RunContexts;
  readonly sidecar: SidecarProcess;
  close(): Promise<void>;
}

export interface ComposeOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly heartbeat: () => void;
}

export async function composeServices({ config, logger, registry, heartbeat }: ComposeOptions): Promise<Services> {
  const blobsDirectory = join(config.home, 'blobs');
  await mkdir(blobsDirectory, { recursive: true });
  const logs = await openLogs(config, logger);
  const blobs = await openDirectoryBlobs(blobsDirectory);
  const sidecar = await startSidecar({
    python: config.tools.python, kernelsDirectory: join(config.packageRoot, 'kernels'), blobsDirectory,
    threads: config.threads, device: config.device, logFile: join(config.home, 'sidecar.log'),
  });
  const sampler = sidecarSampler(sidecar.address);
  const scorer = sidecarScorer(sidecar.address);
  const trainer = sidecarTrainer(sidecar.address);
  const contexts = createRunContexts(logs, blobs);
  const holder = `all-in-one ${hostname()} ${process.pid}`;
  const scoringServer = await serveTeacherScoring(createTeacherScoring({
    contexts, scorer, route: createRouter(contexts), metrics: createScoringMetrics(registry), holder, logger, heartbeat,
  }));
  const scoring = teacherScoringClient(scoringServer.address);
  const stopwatch = startStopwatch(trainer, () => performance.now());
  const training: TrainingDeps = {
    contexts, blobs, trainer, sampler, logger, holder,
    stopwatch, nowMs: () => performance.now(),
  };
  const withScoring = { ...training, scoring };
  return {
    logs, blobs, trainer, contexts, sidecar,
    activities: {
      worker: createRunActivities({ logs, blobs, trainer, contexts, stopwatch, code: await codeVersion(config.packageRoot) }),
      learner: { advanceSft: (ref) => advanceSft(training, ref), advanceRl: (ref) => advanceRl(withScoring, ref) },
      distiller: { advanceDistill: (ref) => advanceDistill(withScoring, ref) },
      rollout: {
        ...createRolloutActivities({ contexts, sampler, metrics: createRolloutMetrics(registry), logger, holder, heartbeat }),
        advanceEvaluation: (ref) => advanceEvaluation(training, ref),
      },
    },
    async close() {
      for (const part of [scoring, scoringServer, sampler, scorer, trainer]) await part.close();
      await sidecar.stop();
      await logs.close();
    },
  };
}
