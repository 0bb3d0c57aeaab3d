/** At start and every minute: the workflow of each unfinished run that Temporal does not know is started; one that a person terminated is recorded as stopped. */
import type { Client } from '@temporalio/client';
import type { RunLogs } from '../../core/ports.js';
import type { RunActivities } from '../../workflows/activities.js';
import type { Logger } from '../runtime/logger.js';
import { waitFor, type Waiting } from '../runtime/wait-for.js';
import { unreachable } from './temporal-connection.js';
import { ensureRunWorkflows } from './start-runs.js';
import { unfinishedRuns } from './unfinished-runs.js';

const EVERY_MS = 60_000;

export interface KeepRunsStarted {
  readonly client: Client;
  /** Of Temporal. */
  readonly address: string;
  /** For the first look. */
  readonly waiting: Waiting;
  readonly logs: RunLogs;
  readonly runs: Pick<RunActivities, 'stopRun' | 'failRun'>;
  readonly logger: Logger;
  /** Only this run is worked on. */
  readonly onlyRun?: string;
  readonly onUnfinished: (run: string) => void;
}

export function keepRunsStarted(keeping: KeepRunsStarted): { readonly first: Promise<void>; stop(): Promise<void> } {
  const first = waitFor(() => look(keeping), keeping.waiting);
  let last: Promise<void> = first;
  const timer = setInterval(() => {
    last = look(keeping).catch((error: unknown) => keeping.logger.warn({ err: error }, 'could not look after unfinished runs; trying again in a minute'));
  }, EVERY_MS);
  return {
    first,
    stop() {
      clearInterval(timer);
      return last.catch(() => undefined);
    },
  };
}

async function look({ client, address, logs, runs, logger, onlyRun, onUnfinished }: KeepRunsStarted): Promise<void> {
  const unfinished = (await unfinishedRuns(logs)).filter(({ run }) => onlyRun === undefined || run === onlyRun);
  for (const { run } of unfinished) onUnfinished(run);
  const { started, terminated, failed } = await ensureRunWorkflows(client, unfinished).catch((error: unknown) => { throw unreachable(address, error); });
  for (const run of started) logger.info({ run }, 'Temporal did not know this unfinished run: started again from its log');
  for (const run of terminated) await runs.stopRun(run, 'its workflow was terminated');
  for (const { run, message, cause } of failed) await runs.failRun(run, message, cause);
}
