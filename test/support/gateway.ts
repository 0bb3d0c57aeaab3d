/** What a gateway says of a run, asked over gRPC as another program would. */
import type { Metadata, ServiceError } from '@grpc/grpc-js';
import { ControlServiceClient, type WatchRunRequest, type WatchRunResponse } from '../../proto/gen/stemma/v1/control.js';
import { bearer } from '../../services/gateway/client.js';
import { PLAIN_CHANNEL, callUnary, fromServiceError } from '../../services/runtime/grpc.js';

export interface GatewayAnswers {
  readonly run: unknown;
  readonly runs: readonly unknown[];
  readonly unknownRun: unknown;
  /** Payload types, from the start to the run's pause. */
  readonly events: readonly string[];
  /** Those after the pause, once the run is resumed. */
  readonly untilResumed: Promise<readonly string[]>;
}

/** Of a run that is paused. */
export async function askGateway({ address, token, run }: { readonly address: string; readonly token: string; readonly run: string }): Promise<GatewayAnswers> {
  const metadata = bearer(token);
  const CALL = { boundary: 'gateway', timeoutMs: 30_000, metadata } as const;
  const client = new ControlServiceClient(address, PLAIN_CHANNEL.credentials, PLAIN_CHANNEL.options);
  const getRun = (id: string) => callUnary(client.getRun.bind(client), { run: id }, CALL);
  const { progressJson } = await getRun(run);
  const listed = await callUnary(client.listRuns.bind(client), {}, CALL);
  const unknownRun: unknown = await getRun('nothing').catch((error: unknown) => error);
  const events = await watchTo('runPaused', client, { run, cursor: '' }, metadata);
  const untilResumed = watchTo('runResumed', client, { run, cursor: events.at(-1)?.cursor ?? '' }, metadata).finally(() => client.close());
  return {
    run: JSON.parse(progressJson) as unknown, runs: listed.progressJson.map((json) => JSON.parse(json) as unknown), unknownRun,
    events: events.map(payloadOf), untilResumed: untilResumed.then((after) => after.map(payloadOf)),
  };
}

/** The stream goes on with the run: it is cancelled here at the first event of this type. */
function watchTo(type: string, client: ControlServiceClient, request: WatchRunRequest, metadata: Metadata): Promise<WatchRunResponse[]> {
  return new Promise((resolve, reject) => {
    const told: WatchRunResponse[] = [];
    const call = client.watchRun(request, metadata);
    call.on('data', (response: WatchRunResponse) => {
      told.push(response);
      if (payloadOf(response) !== type) return;
      resolve(told);
      call.cancel();
    });
    call.on('error', (error: ServiceError) => reject(fromServiceError('gateway', error)));
    call.on('end', () => reject(new Error(`the stream ended before ${type}`)));
  });
}

function payloadOf({ event }: WatchRunResponse): string {
  return event?.payload?.$case ?? '';
}
