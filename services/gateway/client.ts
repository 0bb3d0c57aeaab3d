/** Steering a platform that another process has opened. */
import { ControlServiceClient, type Fork } from '../../proto/gen/stemma/v1/control.js';
import type { ForkInput } from '../../workflows/activities.js';
import type { Controls } from '../cli/platform.js';
import { CHANNEL_OPTIONS, callUnary, insecureCredentials } from '../runtime/grpc.js';

const CALL = { boundary: 'gateway', timeoutMs: 60_000 } as const;

export function gatewayClient(address: string): Controls {
  const client = new ControlServiceClient(address, insecureCredentials, CHANNEL_OPTIONS);
  return {
    async submit({ run, recipe, seed, fork }) {
      await callUnary(client.submitRun.bind(client), { recipe, seed: BigInt(seed), requestId: run, fork: fork && toWire(fork) }, CALL);
    },
    control: ({ run, updateId, action, stage, path, value }) => callUnary(client.controlRun.bind(client), {
      run, updateId, action, stage: stage ?? '', path: path ?? '', valueJson: value === undefined ? '' : JSON.stringify(value),
    }, CALL),
    close() {
      client.close();
      return Promise.resolve();
    },
  };
}

function toWire({ settings, ...at }: ForkInput): Fork {
  return { ...at, settings: settings.map(({ path, value }) => ({ path, valueJson: JSON.stringify(value) })) };
}
