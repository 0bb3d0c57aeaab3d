/** Submitting and steering runs through Temporal: the same updates that the Temporal UI sends. */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { StemmaError } from '../../core/errors.js';
import type { ControlRequest, SubmitRequest } from '../cli/platform.js';
import { sealed, type Attribution } from '../runtime/access/attribution.js';
import type { Asked } from '../../workflows/messages.js';
import type { Keyring } from '../runtime/access/keyring.js';
import { assertRunId } from '../runtime/run-id.js';
import { inSpan } from '../runtime/tracing/spans.js';
import { startRunWorkflow } from '../worker/start-runs.js';

/** Whoever calls this knows who asks; the seal lets whoever records it tell. */
export interface Steering {
  submit(request: SubmitRequest, who: Attribution): Promise<void>;
  control(request: ControlRequest, who: Attribution): Promise<{ readonly effectiveStep: number }>;
}

export function temporalControl(client: Client, keyring: Pick<Keyring, 'sealSecret'>): Steering {
  return {
    submit: (request, who) => inSpan('submit', { about: { run: request.run } }, () => submit(client, request, sealed(keyring.sealSecret(), { run: request.run, updateId: '', action: 'submit' }, who))),
    control: (request, who) => inSpan(request.action, { about: { run: request.run } }, () => control(client, request, sealed(keyring.sealSecret(), request, who))),
  };
}

async function submit(client: Client, { run, recipe, seed, fork }: SubmitRequest, asked: Asked): Promise<void> {
  assertRunId(run, 'gateway');
  try {
    await startRunWorkflow(client, { run, input: { recipe, seed, asked, ...(fork && { fork }) } });
  } catch (error) {
    throw unavailable(error);
  }
}

/** The update's id is the fact's key, so the same request sent twice is one fact. */
async function control(client: Client, fact: ControlRequest, asked: Asked): Promise<{ effectiveStep: number }> {
  const handle = client.workflow.getHandle(fact.run);
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
