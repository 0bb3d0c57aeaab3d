/** Spans of what Temporal has us do, and trace context over it: from a client's call through workflows (workflows/tracing.ts) to activities. */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { Context } from '@temporalio/activity';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import type { ActivityInterceptors, InjectedSinks } from '@temporalio/worker';
import type { WorkflowInfo } from '@temporalio/workflow';
import { TRACE_HEADER, traceparentIn, workflowSpanId, type TraceSinks } from '../../workflows/tracing.js';
import { contextOf, inSpan, traceparent, tracersNow, type About } from '../runtime/tracing/spans.js';

/** Of a client that starts workflows and sends updates. */
export const traceCalls: WorkflowClientInterceptor = {
  start: (input, next) => next({ ...input, headers: withContext(input.headers) }),
  startUpdate: (input, next) => next({ ...input, headers: withContext(input.headers) }),
};

function withContext(headers: Headers): Headers {
  const own = traceparent();
  return own === '' ? headers : { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(own) };
}

/** Of every activity's attempt; what it is about is its first argument (services/worker/heartbeat.ts). */
export function traceActivity({ info }: Context): ActivityInterceptors {
  return {
    inbound: {
      execute(input, next) {
        const [argument] = input.args;
        const about: About = typeof argument === 'string' ? { run: argument } : aboutOf(argument);
        const parent = traceparentIn(input.headers) || (info.workflowExecution === undefined ? '' : ownTrace(info.workflowExecution.runId));
        return inSpan(info.activityType, { about, parent, kind: SpanKind.CONSUMER, attributes: { 'temporal.attempt': info.attempt } }, () => next(input));
      },
    },
  };
}

function aboutOf(argument: unknown): About {
  const { run, stage, step } = (argument ?? {}) as { run?: unknown; stage?: unknown; step?: unknown };
  return { ...(typeof run === 'string' && { run }), ...(typeof stage === 'string' && { stage }), ...(typeof step === 'number' && { step }) };
}

/** A workflow that nobody traced into, such as one started in the Temporal UI, is a trace of its own, named by its run id. */
function ownTrace(runId: string): string {
  return `00-${traceIdOf(runId)}-${workflowSpanId(runId)}-01`;
}

const traceIdOf = (runId: string): string => runId.replaceAll('-', '');

/** A workflow's span, made when it ends. */
export const traceSinks: InjectedSinks<TraceSinks> = {
  traces: { ended: { fn: workflowEnded, callDuringReplay: false } },
};

function workflowEnded({ workflowId, workflowType, runId, runStartTime }: WorkflowInfo, parent: string, outcome: 'ok' | 'continued' | 'failed'): void {
  const tracers = tracersNow();
  if (tracers === undefined) return;
  // RUN, RUN/STAGE or RUN/STAGE/evaluate.
  const [run, stage] = workflowId.split('/');
  const attributes = { 'stemma.run': run, ...(stage === undefined ? {} : { 'stemma.stage': stage }), 'temporal.outcome': outcome };
  const ids = { traceId: traceIdOf(runId), spanId: workflowSpanId(runId) };
  const span = tracers.withIds(ids, () => tracers.own.startSpan(workflowType, { startTime: new Date(runStartTime), attributes }, contextOf(parent) ?? ROOT_CONTEXT));
  if (outcome === 'failed') span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
