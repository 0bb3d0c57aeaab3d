/** One trial: start, inject each fault of the plan when its fact is there, wait for progress after each, let the run finish, judge it. */
import { checkRun, type Verdict } from './check-run.js';
import { inject, type Injected } from './inject.js';
import { markFault, OracleReader } from './oracle.js';
import type { Fault, Plan } from './plan.js';
import type { System } from './system.js';

export interface FaultOutcome extends Fault {
  readonly proof: string;
  /** From the end of the cause (or a sidecar's readiness, where one had to start) to the next new fact; null where none was owed: the run was over. */
  readonly recoverySeconds: number | null;
}

export interface TrialResult {
  readonly seed: number;
  /** In the plan's order, without those that came too late: the run was over. */
  readonly faults: readonly FaultOutcome[];
  readonly verdict: Verdict;
}

/** No fault and no recovery lasts so long, and no run is silent for so long, however slow the machine: beyond it the outcome is unknown, which is never ok. */
const PATIENCE_MS = 300_000;
const LOOK_EVERY_MS = 50;

export async function runPlan(system: System, plan: Plan): Promise<TrialResult> {
  const oracle = new OracleReader(system.trial.oracleFile);
  const over = new AbortController();
  const silent = new AbortController();
  let known = 0;
  let lastHeardMs = performance.now();
  const watch = setInterval(() => {
    if (oracle.facts().has(`run/${system.run} runFinished end`)) over.abort(new Error('the run was over'));
    if (oracle.facts().size > known) lastHeardMs = performance.now();
    known = oracle.facts().size;
    if (performance.now() - lastHeardMs > PATIENCE_MS) silent.abort(new Error(`no new fact for ${PATIENCE_MS} ms: unknown`));
  }, LOOK_EVERY_MS);
  try {
    await system.start();
    const faults: FaultOutcome[] = [];
    for (const fault of plan.faults) {
      const outcome = await strike({ system, oracle, fault, over: over.signal, silent: silent.signal });
      if (outcome) faults.push(outcome);
    }
    if (!(await unless(silent.signal, system.ended()))) throw new Error(`seed ${plan.seed}: the run did not finish: ${system.lastWords()}`);
    return { seed: plan.seed, faults, verdict: await verdictOf(system, oracle) };
  } finally {
    clearInterval(watch);
  }
}

/** Of a run that has finished. */
export async function verdictOf(system: System, oracle: OracleReader): Promise<Verdict> {
  const logs = await system.logs();
  try {
    return await checkRun({ home: system.trial.home, run: system.run, logs, oracle: oracle.read() });
  } finally {
    await logs.close();
  }
}

interface Strike {
  readonly system: System;
  readonly oracle: OracleReader;
  readonly fault: Fault;
  /** Aborts when the run has finished. */
  readonly over: AbortSignal;
  /** Aborts when nothing has happened for too long. */
  readonly silent: AbortSignal;
}

async function strike({ system, oracle, fault, over, silent }: Strike): Promise<FaultOutcome | undefined> {
  const what = `${fault.kind} of ${fault.role} after ${fault.after}`;
  const until = AbortSignal.any([silent, over]);
  let injected: Injected;
  try {
    await oracle.whenAcknowledged(fault.after, until);
    until.throwIfAborted();
    markFault(system.trial.oracleFile, what);
    injected = await inject({ system, oracle, fault, until });
  } catch (error) {
    if (over.aborted) return undefined;
    throw new Error(`${what} did not happen: ${(error as Error).message}; ${system.lastWords()}`, { cause: error });
  }
  const recoverySeconds = await recovery({ system, oracle, injected, until }).catch((error: unknown) => {
    if (over.aborted) return null;
    throw new Error(`no progress after ${what} (${injected.proof}); ${system.lastWords()}`, { cause: error });
  });
  return { ...fault, proof: injected.proof, recoverySeconds };
}

interface Recovering {
  readonly system: System;
  readonly oracle: OracleReader;
  readonly injected: Injected;
  readonly until: AbortSignal;
}

async function recovery({ system, oracle, injected, until }: Recovering): Promise<number> {
  let readyMs = injected.overMs;
  let seen = system.sidecarStarts();
  const watch = setInterval(() => {
    if (system.sidecarStarts() <= seen) return;
    seen = system.sidecarStarts();
    readyMs = performance.now();
  }, LOOK_EVERY_MS);
  try {
    await oracle.whenMoreThan(oracle.facts().size, until);
  } finally {
    clearInterval(watch);
  }
  return Math.max(0, performance.now() - readyMs) / 1000;
}

function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
  return Promise.race([work, aborted]);
}
