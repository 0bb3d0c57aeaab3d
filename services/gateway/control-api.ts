/** What the gateway does, whichever way it was asked. */
import { randomUUID } from 'node:crypto';
import { StemmaError } from '../../core/errors.js';
import { seriesOf } from '../../core/projection/series.js';
import type {
  ControlRunRequest, ControlRunResponse, Fork, GetRunRequest, GetRunResponse, GetSeriesRequest, GetSeriesResponse, ListRunsResponse, SubmitRunRequest, SubmitRunResponse, WatchRunRequest, WatchRunResponse,
} from '../../proto/gen/stemma/v1/control.js';
import { Event } from '../../proto/gen/stemma/v1/events.js';
import type { ControlAction, ForkInput } from '../../workflows/activities.js';
import type { Attribution } from '../runtime/access/attribution.js';
import { readRun } from '../cli/run-reader.js';
import type { ControlRequest, Stores } from '../cli/platform.js';
import type { Steering } from './temporal-control.js';

export type ControlApiDeps = Pick<Stores, 'logs' | 'blobs'> & Steering;

export interface ControlApi {
  submitRun(request: SubmitRunRequest, caller: Attribution): Promise<SubmitRunResponse>;
  getRun(request: GetRunRequest): Promise<GetRunResponse>;
  /** Read from the log of the moment, whether the run goes on or is long over. */
  getSeries(request: GetSeriesRequest): Promise<GetSeriesResponse>;
  listRuns(): Promise<ListRunsResponse>;
  controlRun(request: ControlRunRequest, caller: Attribution): Promise<ControlRunResponse>;
  /** Until aborted. Reads on only when asked for more: memory holds one batch. */
  watchRun(request: WatchRunRequest, signal: AbortSignal): AsyncIterable<WatchRunResponse>;
}

const ACTIONS: readonly ControlAction[] = ['pause', 'resume', 'stop', 'amend'];

export function createControlApi(deps: ControlApiDeps): ControlApi {
  const stores: Stores = { ...deps, close: () => Promise.resolve() };
  const progressJson = async (run: string): Promise<string> => JSON.stringify((await readRun(stores, run, 'stages')).progress, jsonSafe);
  return {
    async submitRun({ recipe, seed, requestId, fork }, caller) {
      const run = requestId === '' ? `${recipe}-${randomUUID().slice(0, 8)}` : requestId;
      await deps.submit({ run, recipe, seed: Number(seed), ...(fork && { fork: forkInput(fork) }) }, caller);
      return { run };
    },
    getRun: async ({ run }) => ({ progressJson: await progressJson(run) }),
    getSeries: async ({ run, ...choice }) => ({ points: seriesOf((await readRun(stores, run, 'stages')).curves, choice) }),
    listRuns: async () => ({ progressJson: await Promise.all((await deps.logs.list()).map(progressJson)) }),
    // async: what is wrong with the request is an answer too
    controlRun: async (request, caller) => deps.control(controlRequest(request), caller),
    watchRun: (request, signal) => watch(deps, request, signal),
  };
}

function controlRequest(request: ControlRunRequest): ControlRequest {
  const action = ACTIONS.find((a) => a === request.action);
  if (!action) throw new StemmaError('gateway', 'INVALID', `"${request.action}" is no action`, `Use one of ${ACTIONS.join(', ')}.`);
  const fact = { run: request.run, updateId: request.updateId || randomUUID(), action };
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

async function* watch(deps: ControlApiDeps, { run, cursor }: WatchRunRequest, signal: AbortSignal): AsyncGenerator<WatchRunResponse> {
  const log = await deps.logs.open(run, 'read');
  try {
    for await (const batch of log.tail(cursor, signal)) {
      for (const { event } of batch.events) yield { event: Event.fromPartial(event), cursor: batch.cursor };
    }
  } finally {
    await log.close();
  }
}

function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Map ? Object.fromEntries(value as Map<string, unknown>) : value;
}
