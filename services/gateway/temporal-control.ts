/** Submitting and steering runs through Temporal: the same updates that the Temporal UI sends. */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { StemmaError } from '../../core/errors.js';
import type { ControlFact } from '../../workflows/activities.js';
import type { Controls, SubmitRequest } from '../cli/platform.js';
import { assertRunId } from '../runtime/run-id.js';
import { startRunWorkflow } from '../worker/start-runs.js';

export function temporalControl(client: Client): Pick<Controls, 'submit' | 'control'> {
  return {
    submit: (request) => submit(client, request),
    control: (fact) => control(client, fact),
  };
}

async function submit(client: Client, { run, recipe, seed, fork }: SubmitRequest): Promise<void> {
  assertRunId(run, 'gateway');
  try {
    await startRunWorkflow(client, { run, input: { recipe, seed, ...(fork && { fork }) } });
  } catch (error) {
    throw unavailable(error);
  }
}

/** The update's id is the fact's key, so the same request sent twice is one fact. */
async function control(client: Client, fact: ControlFact): Promise<{ effectiveStep: number }> {
  const handle = client.workflow.getHandle(fact.run);
  const asked = { by: fact.by };
  const args = fact.action === 'amend' ? [{ ...asked, stage: fact.stage ?? '', path: fact.path ?? '', value: fact.value }] : [asked];
  try {
    return await handle.executeUpdate<{ effectiveStep: number }, [object]>(fact.action, { updateId: fact.updateId, args: args as [object] });
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      throw new StemmaError('temporal', 'NOT_FOUND', `no workflow of run ${fact.run} is running`, 'See `npm run stemma -- status`; a run that has ended cannot be steered.', error);
    }
    const refused = rootCause(error);
    throw new StemmaError('temporal', 'INVALID', `${fact.action} was refused: ${refused}`, 'Correct the request and send it again.', error);
  }
}

function rootCause(error: unknown): string {
  let message = String(error);
  for (let at: unknown = error; at instanceof Error; at = at.cause) message = at.message;
  return message;
}

function unavailable(error: unknown): StemmaError {
  return new StemmaError('temporal', 'UNAVAILABLE', `Temporal did not take the run: ${rootCause(error)}`, 'Try again; the log has everything.', error);
}
