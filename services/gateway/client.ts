/** Steering a platform that another process has opened. */
import { Metadata } from '@grpc/grpc-js';
import { ControlServiceClient, type Fork } from '../../proto/gen/stemma/v1/control.js';
import type { ForkInput } from '../../workflows/activities.js';
import type { Controls } from '../cli/platform.js';
import { PLAIN_CHANNEL, callUnary } from '../runtime/grpc.js';

const CALL = { boundary: 'gateway', timeoutMs: 60_000 } as const;

export interface GatewayClient extends Controls {
  /** RunProgress as JSON. NOT_FOUND if there is no such run. */
  progressJson(run: string): Promise<string>;
}

/** `token` '': without a key; the gateway then says how to get one. Asked for each call: one from an issuer is soon replaced. */
export function gatewayClient(address: string, token: () => string, { credentials, options } = PLAIN_CHANNEL): GatewayClient {
  const client = new ControlServiceClient(address, credentials, options);
  const call = () => ({ ...CALL, metadata: bearer(token()) });
  return {
    async submit({ run, recipe, seed, fork }) {
      await callUnary(client.submitRun.bind(client), { recipe, seed: BigInt(seed), requestId: run, fork: fork && toWire(fork) }, call());
    },
    control: ({ run, updateId, action, stage, path, value }) => callUnary(client.controlRun.bind(client), {
      run, updateId, action, stage: stage ?? '', path: path ?? '', valueJson: value === undefined ? '' : JSON.stringify(value),
    }, call()),
    progressJson: async (run) => (await callUnary(client.getRun.bind(client), { run }, call())).progressJson,
    close() {
      client.close();
      return Promise.resolve();
    },
  };
}

export function bearer(token: string): Metadata {
  const metadata = new Metadata();
  if (token !== '') metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

function toWire({ settings, ...at }: ForkInput): Fork {
  return { ...at, settings: settings.map(({ path, value }) => ({ path, valueJson: JSON.stringify(value) })) };
}
