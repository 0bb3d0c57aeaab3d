/** The edge for other processes: ControlService over gRPC, on loopback unless told otherwise. */
import { randomUUID } from 'node:crypto';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { StemmaError } from '../../core/errors.js';
import { Event } from '../../proto/gen/stemma/v1/events.js';
import {
  ControlServiceService, type ControlRunRequest, type ControlServiceServer, type Fork, type WatchRunRequest, type WatchRunResponse,
} from '../../proto/gen/stemma/v1/control.js';
import type { ControlAction, ControlFact, ForkInput } from '../../workflows/activities.js';
import type { Controls, Stores } from '../cli/platform.js';
import { readRun } from '../cli/run-reader.js';
import { serveGrpc, toServiceError, type GrpcListen, type RunningGrpcServer } from '../runtime/grpc.js';

export type GatewayDeps = Pick<Stores, 'logs' | 'blobs'> & Pick<Controls, 'submit' | 'control'>;

const ACTIONS: readonly ControlAction[] = ['pause', 'resume', 'stop', 'amend'];

export function serveGateway(deps: GatewayDeps, listen: Omit<GrpcListen, 'boundary'>): Promise<RunningGrpcServer> {
  const stores: Stores = { ...deps, close: () => Promise.resolve() };
  const progressJson = async (run: string): Promise<string> => JSON.stringify((await readRun(stores, run, 'stages')).progress, jsonSafe);
  const implementation: ControlServiceServer = {
    submitRun: unary(async ({ recipe, seed, requestId, fork }) => {
      const run = requestId === '' ? `${recipe}-${randomUUID().slice(0, 8)}` : requestId;
      await deps.submit({ run, recipe, seed: Number(seed), ...(fork && { fork: forkInput(fork) }) });
      return { run };
    }),
    getRun: unary(async ({ run }) => ({ progressJson: await progressJson(run) })),
    listRuns: unary(async () => ({ progressJson: await Promise.all((await deps.logs.list()).map(progressJson)) })),
    controlRun: unary(async (request) => deps.control(controlFact(request))),
    watchRun(call) {
      watch(deps, call).catch((error: unknown) => call.destroy(Object.assign(new Error('watch'), toServiceError(error))));
    },
  };
  return serveGrpc(ControlServiceService, implementation, { ...listen, boundary: 'gateway' });
}

function unary<Request, Response>(answer: (request: Request) => Promise<Response>) {
  return (call: { request: Request }, callback: (error: Partial<import('@grpc/grpc-js').ServiceError> | null, response?: Response) => void): void => {
    answer(call.request).then((response) => callback(null, response), (error: unknown) => callback(toServiceError(error)));
  };
}

function controlFact(request: ControlRunRequest): ControlFact {
  const action = ACTIONS.find((a) => a === request.action);
  if (!action) throw new StemmaError('gateway', 'INVALID', `"${request.action}" is no action`, `Use one of ${ACTIONS.join(', ')}.`);
  const fact = { run: request.run, updateId: request.updateId || randomUUID(), action, by: 'gateway' };
  if (action !== 'amend') return fact;
  return { ...fact, stage: request.stage, path: request.path, value: parsedValue(request.valueJson) };
}

function forkInput({ settings, ...at }: Fork): ForkInput {
  return { ...at, settings: settings.map(({ path, valueJson }) => ({ path, value: parsedValue(valueJson) })) };
}

function parsedValue(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    throw new StemmaError('gateway', 'INVALID', `"${json}" is not JSON`, 'Send the value as JSON, strings in quotes.', error);
  }
}

/** Waits when the reader is slow: memory holds one batch. */
async function watch(deps: GatewayDeps, call: ServerWritableStream<WatchRunRequest, WatchRunResponse>): Promise<void> {
  const log = await deps.logs.open(call.request.run, 'read');
  const ended = new AbortController();
  call.on('cancelled', () => ended.abort());
  try {
    for await (const batch of log.tail(call.request.cursor, ended.signal)) {
      for (const { event } of batch.events) {
        const room = call.write({ event: Event.fromPartial(event), cursor: batch.cursor });
        if (!room) await new Promise((resolve) => call.once('drain', resolve).once('cancelled', resolve));
      }
    }
  } finally {
    await log.close();
  }
  call.end();
}

function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Map ? Object.fromEntries(value as Map<string, unknown>) : value;
}
