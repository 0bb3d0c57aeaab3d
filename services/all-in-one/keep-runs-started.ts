/** At start and every minute: the workflow of each unfinished run that Temporal does not know is started; one that a person terminated is recorded as stopped. */
import type { Client } from '@temporalio/client';
import type { Logger } from '../runtime/logger.js';
import { ensureRunWorkflows } from '../worker/start-runs.js';
import type { Services } from './compose.js';
import { unfinishedRuns } from './unfinished-runs.js';

const EVERY_MS = 60_000;

export interface KeepRunsStarted {
  readonly client: Client;
  readonly services: Services;
  readonly logger: Logger;
  /** Only this run is worked on. */
  readonly onlyRun?: string;
  readonly onUnfinished: (run: string) => void;
}

export function keepRunsStarted(keeping: KeepRunsStarted): { readonly first: Promise<void>; stop(): Promise<void> } {
  const first = look(keeping);
  let last = first;
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

async function look({ client, services, logger, onlyRun, onUnfinished }: KeepRunsStarted): Promise<void> {
  const unfinished = (await unfinishedRuns(services.logs)).filter(({ run }) => onlyRun === undefined || run === onlyRun);
  for (const { run } of unfinished) onUnfinished(run);
  const { started, terminated, failed } = await ensureRunWorkflows(client, unfinished);
  const { worker } = services.activities;
  for (const run of started) logger.info({ run }, 'Temporal did not know this unfinished run: started again from its log');
  for (const run of terminated) await worker.stopRun(run, 'its workflow was terminated');
  for (const { run, message } of failed) await worker.failRun(run, message);
}
