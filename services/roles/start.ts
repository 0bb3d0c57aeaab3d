/** How each service starts: from the same factories that all-in-one puts into one process. Each answers where it works or listens. */
import { Client } from '@temporalio/client';
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
import { waitFor, type Waiting } from '../runtime/wait-for.js';
import { openTeacherScoring } from '../teacher-scoring/open-teacher-scoring.js';
import { openTraining, type Training } from '../training/open-training.js';
import { connectClient } from '../worker/temporal-connection.js';
import { keepRunsStarted } from '../worker/keep-runs-started.js';
import { createRunViews, followedRuns } from '../worker/run-views.js';
import { traceCalls } from '../worker/temporal-tracing.js';
import type { Channel } from '../runtime/grpc.js';
import { channelTo, serverCredentials } from '../runtime/tls/credentials.js';
import type { TlsMetrics } from '../runtime/tls/metrics.js';
import { peerGuard } from '../runtime/tls/peers.js';
import type { Tls } from '../runtime/tls/tls.js';
import { temporalCheck } from '../worker/temporal-check.js';
import type { HostedActivities } from '../worker/worker.js';
import type { Role } from './role.js';

export interface Surroundings {
  readonly base: ServiceBase;
  readonly namespace: string;
  /** For what it needs and is not there yet. */
  readonly waiting: Waiting;
  readonly health: Pick<Health, 'add'>;
  /** Called at the end, last first. */
  readonly onClose: (closer: () => unknown) => void;
  readonly tlsMetrics: TlsMetrics;
  /** Certificates for Temporal; null: plain text. */
  readonly temporalTls: Tls | null;
  /** The sidecar of this process. */
  startSidecar(): Promise<{ readonly address: string; readonly channel: Channel }>;
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
  const keeper = keepRunsStarted({
    ...base, client: await temporalClient(around), address: base.config.addresses.temporal, waiting: around.waiting, runs, onUnfinished: (run) => views.follow(run),
  });
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
  const { base, tlsMetrics } = around;
  const { config, tls } = base;
  const secured = tls && { credentials: serverCredentials(tls, 'required'), callers: peerGuard('teacher-scoring', { ...base, tls, metrics: tlsMetrics }) };
  const scoring = await openTeacherScoring(base, await around.startSidecar(), { host: config.listenHost, port: config.ports.scoring, secured });
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
  const { tls, config } = around.base;
  const address = config.addresses.scoring;
  const opened = openTraining(around.base, { sidecar: await around.startSidecar(), scoring: { address, ...(tls && { channelTo: (one) => channelTo(tls, one) }) }, samplers: 'elsewhere' });
  around.onClose(() => opened.close());
  return opened;
}

async function temporalClient({ base, temporalTls, namespace, health, onClose, waiting }: Surroundings): Promise<Client> {
  const connection = await waitFor(() => connectClient({ address: base.config.addresses.temporal, tls: temporalTls }), waiting);
  onClose(() => connection.close());
  health.add(temporalCheck(() => connection));
  return new Client({ connection, namespace, interceptors: { workflow: [traceCalls] } });
}

function queueOf(queue: string, { base }: Surroundings): string {
  return `task queue stemma-${queue} of Temporal ${base.config.addresses.temporal}`;
}
