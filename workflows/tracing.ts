/**
 * Trace context through workflows: in by the header of their start, out by the headers of what they schedule. A workflow's own span has an id
 * made of its run id, so nothing is drawn, awaited or recorded for it: a history recorded without tracing replays with it, and the other way round.
 * The spans themselves are made outside the sandbox (services/worker/temporal-tracing.ts).
 */
import { defaultPayloadConverter } from '@temporalio/common';
import { ContinueAsNew, proxySinks, workflowInfo, type Headers, type Sinks, type WorkflowInterceptors } from '@temporalio/workflow';

/** Of Temporal's headers: a W3C traceparent as a string. Absent where nobody traces, and for workflows started in the Temporal UI. */
export const TRACE_HEADER = 'traceparent';

export interface TraceSinks extends Sinks {
  traces: {
    /** `parent`: the traceparent it was started with, or ''. */
    ended(parent: string, outcome: 'ok' | 'continued' | 'failed'): void;
  };
}

export function interceptors(): WorkflowInterceptors {
  const { traces } = proxySinks<TraceSinks>();
  let parent = '';
  const onward = <I extends { readonly headers: Headers }>(input: I): I => {
    const own = parent === '' ? '' : childOf(parent);
    return own === '' ? input : { ...input, headers: { ...input.headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(own) } };
  };
  return {
    inbound: [{
      execute(input, next) {
        parent = traceparentIn(input.headers);
        const result = next(input);
        result.then(() => traces.ended(parent, 'ok'), (error: unknown) => traces.ended(parent, error instanceof ContinueAsNew ? 'continued' : 'failed'));
        return result;
      },
    }],
    outbound: [{
      scheduleActivity: (input, next) => next(onward(input)),
      startChildWorkflowExecution: (input, next) => next(onward(input)),
      continueAsNew: (input, next) => next(parent === '' ? input : { ...input, headers: { ...input.headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(parent) } }),
    }],
  };
}

/** '' where there is none, or something else. */
export function traceparentIn(headers: Headers): string {
  const payload = headers[TRACE_HEADER];
  const value = payload === undefined ? '' : defaultPayloadConverter.fromPayload<unknown>(payload);
  return typeof value === 'string' ? value : '';
}

/** The same trace, in the span of this workflow. */
function childOf(traceparent: string): string {
  const [version, traceId, , flags] = traceparent.split('-');
  return [version, traceId, workflowSpanId(workflowInfo().runId), flags].join('-');
}

/** Run ids are random UUIDs; their first digits may be a time. */
export function workflowSpanId(runId: string): string {
  return runId.replaceAll('-', '').slice(-16);
}
