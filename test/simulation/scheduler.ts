/**
 * The only clock and the only thread of a simulated system. Whoever calls a port waits for an operation that the
 * scheduler carries out when it chooses, and for its answer, which is an operation of its own: between any two lies a
 * point at which anything may break. The oldest operation goes first unless the schedule says otherwise.
 */
import { setImmediate as afterMicrotasks } from 'node:timers/promises';
import type { Decision, Schedule } from './schedule.js';

/** A process, or the workflow: what is dead never runs on, what hangs may. */
export interface Party {
  readonly name: string;
  status: 'up' | 'hung' | 'dead';
}

export type OperationKind = 'append' | 'read' | 'blob' | 'sidecar' | 'call' | 'answer' | 'start' | 'result' | 'timer' | 'sync';

export interface Operation {
  readonly kind: OperationKind;
  readonly label: string;
  /** Who runs on when it is carried out; null: the network, a server. */
  readonly owner: Party | null;
  /** Who waits for it. */
  readonly caller: Party | null;
  /** What it is the answer to. */
  readonly origin?: OperationKind;
  heldUntil: number;
  run(): void;
  /** The caller is told that it failed; whether it was carried out is another matter. */
  fail?(error: Error): void;
}

export interface Trouble {
  /** False: there was nothing to break. */
  strike(decision: Decision): boolean;
}

export class Stuck extends Error {}

export class Scheduler {
  operations: Operation[] = [];
  step = 0;
  /** What of the schedule had an effect: enough to run it again. */
  readonly decisions: Decision[] = [];
  readonly trace: string[] = [];
  /** Troubles that have found nothing to break yet. */
  private armed: Decision[] = [];

  constructor(private readonly schedule: Schedule) {}

  add(operation: Omit<Operation, 'heldUntil'>): void {
    this.operations.push({ heldUntil: 0, ...operation });
  }

  /** A port call: carried out when chosen, answered when chosen again. */
  call<T>(caller: Party, kind: OperationKind, label: string, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (caller.status === 'dead') return;
      const answer = (run: () => void): void => this.answer(caller, { kind, label, run, reject });
      this.add({
        kind, label: `${caller.name}: ${label}`, owner: null, caller,
        run() {
          try {
            const value = work();
            answer(() => resolve(value));
          } catch (error) {
            answer(() => reject(error as Error));
          }
        },
        fail: (error) => answer(() => reject(error)),
      });
    });
  }

  answer(caller: Party, of: { kind: OperationKind; label: string; run: () => void; reject: (error: Error) => void }): void {
    if (caller.status === 'dead') return;
    this.add({ kind: 'answer', origin: of.kind, label: `${caller.name}: answer to ${of.label}`, owner: caller, caller, run: of.run, fail: (error) => this.answer(caller, { ...of, run: () => of.reject(error) }) });
  }

  remove(operation: Operation): void {
    const at = this.operations.indexOf(operation);
    if (at >= 0) this.operations.splice(at, 1);
  }

  /** Runs until `done`; Stuck where nothing is left to do, or after too many steps. */
  async run(done: () => boolean, trouble: Trouble, mostSteps: number): Promise<void> {
    for (;;) {
      await afterMicrotasks();
      while (!done()) {
        if (this.step >= mostSteps) throw new Stuck(`no end after ${mostSteps} steps; last: ${this.trace.slice(-5).join(' | ')}`);
        const resumed = this.takeStep(trouble);
        if (resumed) break;
      }
      if (done()) return;
    }
  }

  /** Runs what is left, with nothing breaking any more. */
  async drain(mostSteps: number): Promise<void> {
    const limit = this.step + mostSteps;
    this.armed = [];
    await this.run(() => this.ready().length === 0, { strike: () => false }, limit);
  }

  /** True if code of a party runs on because of it. */
  private takeStep(trouble: Trouble): boolean {
    this.step += 1;
    let pick = 0;
    for (const decision of this.schedule.at(this.step)) {
      if (decision.kind === 'pick') pick = decision.arg;
      else this.armed.push(decision);
    }
    if (this.armed.length > 0) this.armed = this.armed.filter((decision) => !this.strikes(trouble, decision));
    const ready = this.ready();
    if (ready.length === 0) throw new Stuck(`nothing to do at step ${this.step}; last: ${this.trace.slice(-5).join(' | ')}`);
    const index = pick % ready.length;
    if (index > 0) this.decisions.push({ step: this.step, kind: 'pick', arg: pick });
    const chosen = ready[index]!;
    this.remove(chosen);
    this.trace.push(chosen.label);
    chosen.run();
    return chosen.kind === 'answer' || chosen.kind === 'start' || chosen.kind === 'timer' || chosen.kind === 'result' || chosen.kind === 'call';
  }

  private strikes(trouble: Trouble, decision: Decision): boolean {
    if (!trouble.strike(decision)) return false;
    this.decisions.push({ ...decision, step: this.step });
    this.trace.push(`*** ${decision.kind}`);
    return true;
  }

  private ready(): Operation[] {
    const able: Operation[] = [];
    let held = 0;
    for (const operation of this.operations) {
      if (operation.owner !== null && operation.owner.status !== 'up') continue;
      able.push(operation);
      if (operation.heldUntil > this.step) held += 1;
    }
    if (held === 0 || held === able.length) return able;
    return able.filter((operation) => operation.heldUntil <= this.step);
  }
}
