/** Every service of the recipe in one process over one log and one sidecar, and the activities that Temporal calls. */
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { BlobStore, RunLogs, Trainer } from '../../core/ports.js';
import type { DistillerActivities, LearnerActivities, RolloutActivities, RunActivities } from '../../workflows/activities.js';
import { codeVersion } from '../coordinator/code-version.js';
import { createRunActivities } from '../coordinator/run-activities.js';
import { advanceDistill } from '../distiller/advance-distill.js';
import { createLearnerActivities } from '../learner/learner-activities.js';
import { openRollout } from '../rollout/open-rollout.js';
import type { Keyring } from '../runtime/access/keyring.js';
import type { Config } from '../runtime/config.js';
import { logCheck, type HealthCheck } from '../runtime/health.js';
import type { Logger } from '../runtime/logger.js';
import { openLogs } from '../runtime/open-logs.js';
import type { RunContexts } from '../runtime/run-context.js';
import { openServiceBase, startOwnSidecar } from '../runtime/service-base.js';
import { registerSidecarMetrics } from '../runtime/sidecar-metrics.js';
import type { SidecarProcess } from '../runtime/sidecar-process.js';
import { openTeacherScoring } from '../teacher-scoring/open-teacher-scoring.js';
import { openTraining } from '../training/open-training.js';

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
  readonly keyring: Keyring;
  readonly sidecar: SidecarProcess;
  readonly checks: readonly HealthCheck[];
  close(): Promise<void>;
}

export interface ComposeOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly heartbeat: () => void;
  readonly cancellation: () => AbortSignal;
}

export async function composeServices(options: ComposeOptions): Promise<Services> {
  const { config } = options;
  const logs = await openLogs(config, options.logger);
  const base = await openServiceBase({ ...options, logs, service: 'all-in-one', tls: null });
  const sidecar = await startOwnSidecar(config, join(config.home, 'sidecar.log'));
  const sidecarWatch = registerSidecarMetrics(options.registry, sidecar.address);
  const scoring = await openTeacherScoring(base, sidecar, { host: '127.0.0.1', port: config.ports.scoring });
  const training = openTraining(base, { sidecar, scoring, samplers: 'beside-trainer' });
  const rollout = openRollout(base, sidecar);
  const { deps } = training;
  return {
    checks: [logCheck(logs), { name: 'sidecar', ask: sidecarWatch.answers }],
    sidecar, logs: base.logs, blobs: base.blobs, contexts: base.contexts, keyring: base.keyring, trainer: deps.trainer,
    activities: {
      worker: createRunActivities({ ...base, stopwatch: deps.stopwatch }),
      learner: createLearnerActivities({ ...deps, logs: base.logs, keyring: base.keyring, code: await codeVersion(config.packageRoot) }),
      distiller: { advanceDistill: (ref, standing) => advanceDistill(deps, ref, standing) },
      rollout: rollout.activities,
    },
    async close() {
      for (const part of [training, scoring, rollout]) await part.close();
      sidecarWatch.close();
      await sidecar.stop();
      await logs.close();
    },
  };
}
