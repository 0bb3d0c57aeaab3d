/** How each service starts: from the same factories that all-in-one puts into one process. Each answers where it works or listens. */
import { Client, Connection } from '@temporalio/client';
import { codeVersion } from '../coordinator/code-version.js';
import { createRunActivities } from '../coordinator/run-activities.js';
import { advanceDistill } from '../distiller/advance-distill.js';
import { openGateway } from '../gateway/open-gateway.js';
import { temporalControl } from '../gateway/temporal-control.js';
import { createLearnerActivities } from '../learner/learner-activities.js';
import { openRollout } from '../rollout/open-rollout.js';
import { readKeysFile } from '../runtime/access/keys-file.js';
import type { Health } from '../runtime/health.js';
import { registerRunMetrics } from '../runtime/run-metrics.js';
import type { ServiceBase } from '../runtime/service-base.js';
import { openTeacherScoring } from '../teacher-scoring/open-teacher-scoring.js';
import { openTraining, type Training } from '../training/open-training.js';
import { keepRunsStarted } from '../worker/keep-runs-started.js';
import { createRunViews, followedRuns } from '../worker/run-views.js';
import { temporalCheck } from '../worker/temporal-check.js';
import type { HostedActivities } from '../worker/worker.js';
import type { Role } from './role.js';

export interface Surroundings {
  readonly base: ServiceBase;
  readonly namespace: string;
  readonly health: Pick<Health, 'add'>;
  /** Called at the end, last first. */
  readonly onClose: (closer: () => unknown) => void;
  /** A sidecar of this process; its address. */
  startSidecar(): Promise<string>;
  /** Serves Temporal's task queues of these activities. */
  host(activities: HostedActivities): Promise<void>;
}

type Start = (surroundings: Surroundings) => Promise<string>;

export const START: { readonly [R in Role]: Start } = {
  gateway: startGateway, worker: startWorker, rollout: startRollout,
  'teacher-scoring': startTeacherScoring, learner: startLearner, distiller: startDistiller,
};

async function startGateway(around: Surroundings): Promise<string> {
  const { base } = around;
  readKeysFile(base.config.keysFile);
  const gateway = await openGateway(base, temporalControl(await temporalClient(around), base.keyring));
  around.onClose(() => gateway.close());
  return `listens on ${gateway.address}, HTTP on ${gateway.url}`;
}

/** Workflows and the facts of runs. Any number of these may run: what each does is done once, whoever does it. */
async function startWorker(around: Surroundings): Promise<string> {
  const { base } = around;
  const views = createRunViews(base);
  around.onClose(() => views.close());
  registerRunMetrics(base.registry, () => views.current());
  const runs = createRunActivities(base);
  await around.host({ worker: followedRuns(runs, views) });
  const keeper = keepRunsStarted({ ...base, client: await temporalClient(around), runs, onUnfinished: (run) => views.follow(run) });
  around.onClose(() => keeper.stop());
  await keeper.first;
  return queueOf('worker', around);
}

async function startRollout(around: Surroundings): Promise<string> {
  const rollout = openRollout(around.base, await around.startSidecar());
  around.onClose(() => rollout.close());
  await around.host({ rollout: rollout.activities });
  return queueOf('rollout', around);
}

async function startTeacherScoring(around: Surroundings): Promise<string> {
  const { config } = around.base;
  const scoring = await openTeacherScoring(around.base, await around.startSidecar(), { host: config.listenHost, port: config.ports.scoring });
  around.onClose(() => scoring.close());
  return `listens on ${scoring.address}`;
}

async function startLearner(around: Surroundings): Promise<string> {
  const { deps } = await training(around);
  const { logs, config, keyring } = around.base;
  await around.host({ learner: createLearnerActivities({ ...deps, logs, keyring, code: await codeVersion(config.packageRoot) }) });
  return queueOf('learner', around);
}

async function startDistiller(around: Surroundings): Promise<string> {
  const { deps } = await training(around);
  await around.host({ distiller: { advanceDistill: (ref, standing) => advanceDistill(deps, ref, standing) } });
  return queueOf('distiller', around);
}

async function training(around: Surroundings): Promise<Training> {
  const sidecarAddress = await around.startSidecar();
  const opened = openTraining(around.base, { sidecarAddress, scoringAddress: around.base.config.addresses.scoring, samplers: 'elsewhere' });
  around.onClose(() => opened.close());
  return opened;
}

async function temporalClient({ base, namespace, health, onClose }: Surroundings): Promise<Client> {
  const connection = await Connection.connect({ address: base.config.addresses.temporal });
  onClose(() => connection.close());
  health.add(temporalCheck(connection));
  return new Client({ connection, namespace });
}

function queueOf(queue: string, { base }: Surroundings): string {
  return `task queue stemma-${queue} of Temporal ${base.config.addresses.temporal}`;
}
