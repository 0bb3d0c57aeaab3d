/**
 * The only clock and the only thread of a simulated system. Whoever calls a port waits for an operation that the
 * scheduler carries out when it chooses, and for its answer, which is an operation of its own: between any two lies a
 * point at which anything may break. The oldest operation goes first unless the schedule says otherwise.
 */
import { setImmediate as afterMicrotasks } from 'node:timers/promises';
import type { StopSignal } from '../../core/ports.js';
import type { Decision, Schedule } from './schedule.js';

/** A process, or the workflow: what is dead never runs on, what hangs may. */
export interface Party {
  readonly name: string;
  status: 'up' | 'hung' | 'dead';
}

export type OperationKind = 'append' | 'read' | 'blob' | 'sidecar' | 'call' | 'answer' | 'start' | 'result' | 'timer' | 'sync';

/** After these some code runs on. */
const RESUMING: ReadonlySet<OperationKind> = new Set(['answer', 'start', 'timer', 'result', 'call']);

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
  /** Virtual time before which it is not carried out: a timer's. */
  dueMs?: number;
  run(): void;
  /** The caller is told that it failed; whether it was carried out is another matter. */
  fail?(error: Error): void;
}

export interface Trouble {
  /** False: there was nothing to break. */
  strike(decision: Decision): boolean;
}

interface LongCall<T> {
  readonly kind: OperationKind;
  readonly label: string;
  readonly work: () => T;
  readonly lastsMs: number;
  readonly interrupt?: StopSignal;
}

export class Stuck extends Error {}

export class Scheduler {
  operations: Operation[] = [];
  step = 0;
  /** Virtual: time passes when there is nothing else to do, or when the schedule lets a timer go first. */
  nowMs = 0;
  /** Whose code runs on since the last operation. */
  acting: Party | null = null;
  /** Asked when nothing is left to do: true if there is now. */
  whenIdle: () => boolean = () => false;
  /** Asked when all code waits: true if some runs on because of it. */
  whenQuiet: () => boolean = () => false;
  /** What of the schedule had an effect: enough to run it again. */
  readonly decisions: Decision[] = [];
  readonly trace: string[] = [];
  /** Troubles that have found nothing to break yet. */
  private armed: Decision[] = [];

  /** `sleepAtLeastMs`: whoever waits a little wakes no sooner, as on a busy machine. */
  constructor(private readonly schedule: Schedule, private readonly sleepAtLeastMs = 0) {}

  add(operation: Omit<Operation, 'heldUntil'>): Operation {
    const added = { heldUntil: 0, ...operation };
    this.operations.push(added);
    return added;
  }

  /** A port call: carried out when chosen, answered when chosen again. */
  call<T>(caller: Party, kind: OperationKind, label: string, work: () => T): Promise<T> {
    return this.callThatLasts(caller, { kind, label, work, lastsMs: 0 });
  }

  /** A call that is not over before, unless `interrupt` aborts. */
  callThatLasts<T>(caller: Party, { kind, label, work, lastsMs, interrupt }: LongCall<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (caller.status === 'dead') return;
      const answer = (run: () => void): void => this.answer(caller, { kind, label, run, reject });
      const operation = this.add({
        ...(lastsMs > 0 && { dueMs: this.nowMs + lastsMs }), kind, label: `${caller.name}: ${label}`, owner: null, caller,
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
      if (operation.dueMs !== undefined) interrupt?.addEventListener('abort', () => { operation.dueMs = this.nowMs; });
    });
  }

  answer(caller: Party, of: { kind: OperationKind; label: string; run: () => void; reject: (error: Error) => void }): void {
    if (caller.status === 'dead') return;
    this.add({ kind: 'answer', origin: of.kind, label: `${caller.name}: answer to ${of.label}`, owner: caller, caller, run: of.run, fail: (error) => this.answer(caller, { ...of, run: () => of.reject(error) }) });
  }

  sleep(ms: number): Promise<void> {
    const caller = this.acting;
    return new Promise((resolve) => {
      if (caller?.status === 'dead') return;
      this.add({ kind: 'timer', label: `${caller?.name}: wakes`, owner: caller, caller, dueMs: this.nowMs + Math.max(ms, this.sleepAtLeastMs), run: resolve });
    });
  }

  remove(operation: Operation): void {
    const at = this.operations.indexOf(operation);
    if (at >= 0) this.operations.splice(at, 1);
  }

  /** Runs until `done`; Stuck where nothing is left to do, or after too many steps. */
  async run(done: () => boolean, trouble: Trouble, mostSteps: number): Promise<void> {
    for (;;) {
      await afterMicrotasks();
      if (this.whenQuiet()) continue;
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
    const pick = this.decide(trouble);
    const ready = this.ready();
    if (ready.length === 0 && this.whenIdle()) return false;
    if (ready.length === 0) throw new Stuck(`nothing to do at step ${this.step}; last: ${this.trace.slice(-5).join(' | ')}`);
    const index = pick % ready.length;
    if (index > 0) this.decisions.push({ step: this.step, kind: 'pick', arg: pick });
    const chosen = ready[index]!;
    this.remove(chosen);
    this.trace.push(chosen.label);
    this.acting = chosen.owner;
    this.nowMs = Math.max(this.nowMs, chosen.dueMs ?? 0);
    chosen.run();
    return RESUMING.has(chosen.kind);
  }

  /** What the schedule has for this step happens; which operation goes first. */
  private decide(trouble: Trouble): number {
    let pick = 0;
    for (const decision of this.schedule.at(this.step)) {
      if (decision.kind === 'pick') pick = decision.arg;
      else this.armed.push(decision);
    }
    if (this.armed.length > 0) this.armed = this.armed.filter((decision) => !this.strikes(trouble, decision));
    return pick;
  }

  private strikes(trouble: Trouble, decision: Decision): boolean {
    if (!trouble.strike(decision)) return false;
    this.decisions.push({ ...decision, step: this.step });
    this.trace.push(`*** ${decision.kind}`);
    return true;
  }

  private ready(): Operation[] {
    const able: Operation[] = [];
    const asleep: Operation[] = [];
    let held = 0;
    for (const operation of this.operations) {
      if (operation.owner !== null && operation.owner.status !== 'up') continue;
      if (operation.dueMs !== undefined && operation.dueMs > this.nowMs) {
        asleep.push(operation);
        continue;
      }
      able.push(operation);
      if (operation.heldUntil > this.step) held += 1;
    }
    if (asleep.length > 1) asleep.sort((a, b) => a.dueMs! - b.dueMs!);
    const now = held === 0 ? able : able.filter((operation) => operation.heldUntil <= this.step);
    return now.length + asleep.length > 0 ? [...now, ...asleep] : able;
  }
}
