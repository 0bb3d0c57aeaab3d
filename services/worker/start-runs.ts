/** Starts the workflow of each unfinished run that Temporal does not know: after its database was lost, or before it ever heard of the run. */
import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { FailureCause, RunInput } from '../../workflows/activities.js';
import { attributePairs } from '../../workflows/attributes.js';
import { rootCause } from '../../workflows/failure.js';

/** A run whose log has no end yet. */
export interface UnfinishedRun {
  readonly run: string;
  readonly input: RunInput;
}

export interface RunWorkflows {
  readonly started: readonly string[];
  /** A person terminated or cancelled the workflow: record the run as stopped. */
  readonly terminated: readonly string[];
  /** The workflow failed before it could record why: record the run as failed. */
  readonly failed: readonly ({ readonly run: string } & WhyFailed)[];
}

interface WhyFailed {
  readonly message: string;
  readonly cause: FailureCause;
}

type Outcome = 'running' | 'started' | 'terminated' | { readonly failed: WhyFailed };

/** Idempotent; call it at start and every minute. */
export async function ensureRunWorkflows(client: Client, unfinished: readonly UnfinishedRun[]): Promise<RunWorkflows> {
  const outcomes = await Promise.all(unfinished.map(async (run) => ({ run: run.run, outcome: await ensure(client, run) })));
  return {
    started: outcomes.filter(({ outcome }) => outcome === 'started').map(({ run }) => run),
    terminated: outcomes.filter(({ outcome }) => outcome === 'terminated').map(({ run }) => run),
    failed: outcomes.flatMap(({ run, outcome }) => (typeof outcome === 'object' ? [{ run, ...outcome.failed }] : [])),
  };
}

/** Starts the workflow of a new run, or joins the one there is. */
export async function startRunWorkflow(client: Client, { run, input }: UnfinishedRun): Promise<'started' | 'running'> {
  try {
    await client.workflow.start('trainingRun', {
      taskQueue: 'stemma-worker',
      workflowId: run,
      args: [input],
      workflowTaskTimeout: '5 seconds',
      // A workflow that ended is not started again: a terminated run stays terminated.
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      staticSummary: `Stemma run ${run}, recipe ${input.recipe}`,
      typedSearchAttributes: attributePairs({ recipe: input.recipe, status: 'opening' }),
    });
    return 'started';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'running';
    throw error;
  }
}

async function ensure(client: Client, unfinished: UnfinishedRun): Promise<Outcome> {
  const handle = client.workflow.getHandle(unfinished.run);
  const description = await handle.describe().catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  });
  switch (description?.status.name) {
    case undefined: return startRunWorkflow(client, unfinished);
    case 'TERMINATED': case 'CANCELLED': return 'terminated';
    case 'FAILED': case 'TIMED_OUT': return { failed: await whyFailed(handle) };
    default: return 'running';
  }
}

async function whyFailed(handle: { result(): Promise<unknown> }): Promise<WhyFailed> {
  const error = await handle.result().then(() => new Error('unknown'), (thrown: unknown) => thrown);
  const { message, type, boundary } = rootCause(error instanceof WorkflowFailedError ? error.cause : error);
  return { message, cause: { code: type, boundary } };
}
