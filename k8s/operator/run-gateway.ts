/** A run as its gateway answers for it: the one way in which the operator learns of a run and steers it. */
import { StemmaError } from '../../core/errors.js';
import type { RunStatus, StageProgress } from '../../core/projection/progress.js';
import { gatewayClient, type GatewayClient } from '../../services/gateway/client.js';
import { PLAIN_CHANNEL, type Channel } from '../../services/runtime/grpc.js';
import { channelTo } from '../../services/runtime/tls/credentials.js';
import { fixedTls } from '../../services/runtime/tls/tls.js';
import { notLeading } from './api.js';
import type { Controls } from '../../services/cli/platform.js';

/** What the operator reads of a run's progress. */
export interface Progress {
  readonly status: RunStatus;
  /** Why it failed or stopped; '' otherwise. */
  readonly detail: string;
  readonly stages: readonly Pick<StageProgress, 'stage' | 'kind' | 'status' | 'step' | 'steps' | 'reward' | 'episodes'>[];
}

export interface RunGateway extends Pick<Controls, 'submit' | 'control'> {
  /** null: no such run yet. UNAVAILABLE or TIMEOUT where nobody answers. */
  progress(run: string): Promise<Progress | null>;
}

/** What the operator needs to be heard, and to know whom it speaks to. */
export interface GatewayAccess {
  readonly token: string;
  /** PEM of who vouches for the gateway's certificate; '' for plain text. */
  readonly authority: string;
}

/** Connections to gateways, one an address, kept between looks. */
export interface RunGateways {
  at(address: string, access: GatewayAccess): RunGateway;
  forget(address: string): void;
  close(): void;
}

/** As `guarded` does for the API. */
export function guardedGateways(gateways: RunGateways, mayAct: () => boolean): RunGateways {
  return {
    ...gateways,
    at(address, access) {
      const gateway = gateways.at(address, access);
      const unlessLeading = (): Promise<never> => Promise.reject(notLeading());
      return {
        progress: (run) => gateway.progress(run),
        submit: (request) => (mayAct() ? gateway.submit(request) : unlessLeading()),
        control: (fact) => (mayAct() ? gateway.control(fact) : unlessLeading()),
      };
    },
  };
}

export function openRunGateways(): RunGateways {
  const open = new Map<string, GatewayClient & { readonly authority: string }>();
  return {
    at(address, { token, authority }) {
      const known = open.get(address);
      // An authority that was replaced holds for the next connection.
      if (known && known.authority !== authority) void known.close();
      const client = known?.authority === authority ? known : { ...gatewayClient(address, () => token, channelFor(address, authority)), authority };
      open.set(address, client);
      return {
        submit: (request) => client.submit(request),
        control: (fact) => client.control(fact),
        async progress(run) {
          try {
            return JSON.parse(await client.progressJson(run)) as Progress;
          } catch (error) {
            if (error instanceof StemmaError && error.code === 'NOT_FOUND') return null;
            throw error;
          }
        },
      };
    },
    forget(address) {
      void open.get(address)?.close();
      open.delete(address);
    },
    close() {
      for (const each of open.values()) void each.close();
      open.clear();
    },
  };
}

function channelFor(address: string, authority: string): Channel {
  return authority === '' ? PLAIN_CHANNEL : channelTo(fixedTls({ identity: null, authorities: Buffer.from(authority) }), address);
}
