/** One trial: start, inject each fault of the plan when its fact is there, wait for progress after each, let the run finish, judge it. */
import { checkRun, type Verdict } from './check-run.js';
import { inject, type Injected } from './inject.js';
import { markFault, OracleReader } from './oracle.js';
import type { Fault, Plan } from './plan.js';
import type { System } from './system.js';
import type { Trial } from './trial.js';

export interface FaultOutcome extends Fault {
  readonly proof: string;
  /** From the end of the cause (or the sidecar's readiness, where it had to start) to the next new fact. */
  readonly recoverySeconds: number;
}

export interface TrialResult {
  readonly seed: number;
  readonly faults: readonly FaultOutcome[];
  readonly verdict: Verdict;
}

/** No fault and no recovery lasts so long: beyond it the outcome is unknown, which is never ok. */
const PATIENCE_MS = 300_000;

export async function runPlan(system: System, trial: Trial, plan: Plan): Promise<TrialResult> {
  const oracle = new OracleReader(trial.oracleFile);
  await system.start();
  const faults: FaultOutcome[] = [];
  for (const fault of plan.faults) faults.push(await strike({ system, trial, oracle, fault }));
  if (!(await within('finishing', system.ended()))) throw new Error(`seed ${plan.seed}: the run did not finish: ${system.lastWords()}`);
  const logs = await system.logs();
  try {
    return { seed: plan.seed, faults, verdict: await checkRun({ home: trial.home, run: system.run, logs, oracle: oracle.read() }) };
  } finally {
    await logs.close();
  }
}

interface Strike {
  readonly system: System;
  readonly trial: Trial;
  readonly oracle: OracleReader;
  readonly fault: Fault;
}

async function strike({ system, trial, oracle, fault }: Strike): Promise<FaultOutcome> {
  const what = `${fault.kind} of ${fault.role} after ${fault.after}`;
  const until = AbortSignal.timeout(PATIENCE_MS);
  await oracle.whenAcknowledged(fault.after, until);
  const starts = system.sidecarStarts();
  markFault(trial.oracleFile, what);
  let injected: Injected;
  try {
    injected = await inject({ system, shim: trial.shim, fault, until });
  } catch (error) {
    throw new Error(`${what} did not happen: ${(error as Error).message}`, { cause: error });
  }
  const before = oracle.facts().size;
  let readyMs = injected.overMs;
  let seen = starts;
  const watch = setInterval(() => {
    if (system.sidecarStarts() <= seen) return;
    seen = system.sidecarStarts();
    readyMs = performance.now();
  }, 20);
  try {
    await oracle.whenMoreThan(before, until);
  } catch (error) {
    throw new Error(`no progress after ${what} (${injected.proof}); ${system.lastWords()}`, { cause: error });
  } finally {
    clearInterval(watch);
  }
  return { ...fault, proof: injected.proof, recoverySeconds: Math.max(0, performance.now() - readyMs) / 1000 };
}

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => { setTimeout(() => reject(new Error(`${what} took more than ${PATIENCE_MS} ms: unknown`)), PATIENCE_MS).unref(); });
  return Promise.race([work, late]);
}
