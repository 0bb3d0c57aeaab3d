/**
 * Temporal as the workflows and the activities see it: activities at least once, retried, two attempts of one at the same
 * time when one was thought dead, results that get lost; a workflow that is lost starts over. The workflow code is the
 * real one: test/simulation/workflow-stub.ts stands in for the SDK's module.
 */
import { ActivityFailure, ApplicationFailure, CancelledFailure, RetryState } from '@temporalio/common';
import type { ActivityOptions } from '@temporalio/workflow';
import { toApplicationFailure } from '../../services/runtime/activity-errors.js';
import type { Party, Scheduler } from './scheduler.js';

export type ActivityFunction = (...args: unknown[]) => Promise<unknown>;

export interface Hosts {
  /** A process of this queue that is up, and the function as it hosts it. */
  host(queue: string, activity: string): { readonly party: Party; readonly run: ActivityFunction };
  /** The activities of this process that ask are told to stop. */
  cancel(party: Party): void;
}

export interface Scope {
  readonly cancelled: boolean;
}

export interface Activity {
  readonly queue: string;
  readonly name: string;
  readonly args: readonly unknown[];
  readonly maximumAttempts: number;
  readonly workflow: Party;
  readonly scope: Scope | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  attempts: number;
  /** The attempt whose result counts. */
  current: Attempt | undefined;
}

export interface Attempt {
  readonly activity: Activity;
  readonly party: Party;
}

export class Temporal {
  workflow: Party = { name: 'workflow', status: 'up' };
  readonly running = new Set<Attempt>();

  constructor(private readonly scheduler: Scheduler, private readonly hosts: Hosts) {}

  execute(options: ActivityOptions, name: string, args: readonly unknown[], scope?: Scope): Promise<unknown> {
    if (scope?.cancelled) return Promise.reject(new CancelledFailure('cancelled'));
    return new Promise((resolve, reject) => {
      this.start({
        queue: options.taskQueue ?? '', name, args, maximumAttempts: options.retry?.maximumAttempts ?? Infinity, workflow: this.workflow, scope,
        resolve, reject, attempts: 0, current: undefined,
      });
    });
  }

  timer(): Promise<void> {
    const { workflow } = this;
    return new Promise((resolve) => this.scheduler.add({ kind: 'timer', label: 'timer', owner: workflow, caller: workflow, run: resolve }));
  }

  /** The server no longer waits for this attempt; whether it still runs is another matter. */
  giveUp(attempt: Attempt): void {
    const { activity } = attempt;
    this.running.delete(attempt);
    if (activity.current !== attempt) return;
    activity.current = undefined;
    this.failed(activity, new Error('heartbeat time-out'), RetryState.TIMEOUT);
  }

  giveUpAllOf(party: Party): void {
    for (const attempt of [...this.running]) if (attempt.party === party) this.giveUp(attempt);
  }

  /** Who runs one is told; who waits for it waits until it has ended (the SDK's default). */
  cancel(scope: Scope): void {
    for (const attempt of this.running) {
      if (attempt.activity.scope !== scope) continue;
      const { party } = attempt;
      this.scheduler.add({ kind: 'call', label: `${party.name}: is told to stop`, owner: party, caller: party, run: () => this.hosts.cancel(party) });
    }
  }

  /** Its history is gone: what still runs reports to nobody. */
  forgetWorkflow(): void {
    this.workflow.status = 'dead';
    this.workflow = { name: 'workflow', status: 'up' };
  }

  private start(activity: Activity): void {
    this.scheduler.add({
      kind: 'start', label: `start ${activity.name} ${activity.attempts + 1}`, owner: null, caller: null,
      run: () => void (activity.workflow.status === 'dead' || this.begin(activity)),
    });
  }

  private begin(activity: Activity): void {
    if (activity.scope?.cancelled) {
      this.reject(activity, new CancelledFailure('cancelled'), RetryState.CANCEL_REQUESTED);
      return;
    }
    activity.attempts += 1;
    const number = activity.attempts;
    const { party, run } = this.hosts.host(activity.queue, activity.name);
    const attempt: Attempt = { activity, party };
    activity.current = attempt;
    this.running.add(attempt);
    this.scheduler.acting = party;
    // Arguments and results travel as JSON.
    run(...(JSON.parse(JSON.stringify(activity.args)) as unknown[])).then(
      (value) => this.report(attempt, () => activity.resolve(value)),
      (error: unknown) => this.report(attempt, () => this.judge(activity, error, number)),
    );
  }

  private report(attempt: Attempt, settle: () => void): void {
    const { activity, party } = attempt;
    if (party.status === 'dead') return;
    this.scheduler.add({
      kind: 'result', label: `${party.name}: result of ${activity.name}`, owner: party, caller: party,
      run: () => {
        this.running.delete(attempt);
        if (activity.current !== attempt || activity.workflow.status === 'dead') return;
        activity.current = undefined;
        settle();
      },
      fail: () => this.giveUp(attempt),
    });
  }

  private judge(activity: Activity, error: unknown, number: number): void {
    const failure = toApplicationFailure(error, number);
    if (failure instanceof ApplicationFailure && failure.nonRetryable) this.reject(activity, failure, RetryState.NON_RETRYABLE_FAILURE);
    else this.failed(activity, failure, RetryState.MAXIMUM_ATTEMPTS_REACHED);
  }

  private failed(activity: Activity, cause: Error, state: RetryState): void {
    if (activity.workflow.status === 'dead') return;
    if (activity.attempts < activity.maximumAttempts || activity.scope?.cancelled) this.start(activity);
    else this.reject(activity, cause, state);
  }

  private reject({ name, workflow, reject }: Activity, cause: Error, state: RetryState): void {
    const failure = new ActivityFailure('activity failed', name, name, state, undefined, cause);
    this.scheduler.add({ kind: 'timer', label: `${name} failed for good`, owner: workflow, caller: workflow, run: () => reject(failure) });
  }
}
