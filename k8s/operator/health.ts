/** What the operator's probes ask. A follower is as ready as a leader: it waits for the Lease, and takes over without being started. */
import type { Health } from '../../services/runtime/health.js';

/** A server that is away for this long makes an operator not ready; starting it again would not bring the server back, so it stays live. */
const SILENT_MS = 20_000;
/** A leader that has not read what there is by then is wedged: it would hold the Lease and do nothing. */
const LIST_WITHIN_MS = 300_000;

export interface OperatorState {
  /** On the clock of `nowMs`; -Infinity: the API server has never answered. */
  readonly answeredAtMs: number;
  /** Since when it leads; undefined: it does not. */
  readonly leadsSinceMs: number | undefined;
  /** A leader has read all runs, teachers and their objects once. */
  readonly hasListed: boolean;
}

export function operatorHealth(read: () => OperatorState, now: () => number): Pick<Health, 'live' | 'ready'> {
  return {
    live: () => Promise.resolve(liveProblems(read(), now())),
    ready: () => Promise.resolve(readyProblems(read(), now())),
  };
}

export function readyProblems({ answeredAtMs, leadsSinceMs, hasListed }: OperatorState, nowMs: number): string[] {
  const silent = nowMs - answeredAtMs > SILENT_MS;
  const since = Number.isFinite(answeredAtMs) ? `for ${Math.round((nowMs - answeredAtMs) / 1000)} s` : 'yet';
  return [
    ...(silent ? [`the API server has not answered ${since}: is it up, and may this service account read leases in its namespace?`] : []),
    ...(leadsSinceMs !== undefined && !hasListed ? ['it leads and has not read all runs yet'] : []),
  ];
}

export function liveProblems({ answeredAtMs, leadsSinceMs, hasListed }: OperatorState, nowMs: number): string[] {
  const answers = nowMs - answeredAtMs <= SILENT_MS;
  const wedged = leadsSinceMs !== undefined && !hasListed && answers && nowMs - leadsSinceMs > LIST_WITHIN_MS;
  return wedged ? ['it has led for five minutes, the API server answers, and it has not read all runs: may it list every kind it owns?'] : [];
}
