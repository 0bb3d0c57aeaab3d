/** One simulated system: its disks, its processes, its sidecar, its Temporal, and everything that can happen to them. */
import { StemmaError, type Boundary, type ErrorCode } from '../../core/errors.js';
import type { EventLog } from '../../core/ports.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import type { MemoryBlobs } from './memory-blobs.js';
import type { MemoryStore } from './memory-logs.js';
import { boot, PROCESSES, POLLERS, type Ports, type Process, type ProcessName } from './processes.js';
import type { Answered } from './oracle.js';
import { Scheduler, type Operation, type OperationKind, type Party } from './scheduler.js';
import type { Decision, FaultKind, Schedule } from './schedule.js';
import { Sidecar } from './sidecar.js';
import { Temporal, type Hosts } from './temporal.js';
import { checkConditions, update } from './workflow-stub.js';

export interface Disks {
  /** By run. */
  readonly stores: ReadonlyMap<string, MemoryStore>;
  readonly blobs: MemoryBlobs;
  /** Deliberately broken: acknowledges before it is durable, so a crash takes acknowledged events with it. */
  readonly forgetful: boolean;
}

const LOOKS_A_TURN = 3;
/** Nobody leaves a run paused for longer, although rollouts may stand beside it. */
const PAUSED_STEPS = 1_000;
/** Stages whose settings people change. */
const AMENDED = ['sft', 'search-rl', 'distill'] as const;

export function broken(boundary: Boundary, code: ErrorCode): StemmaError {
  return new StemmaError(boundary, code, `simulated: ${code}`, 'Try again.');
}

export interface Setup {
  readonly run: string;
  /** Rollouts stand beside their stage. */
  readonly stands: boolean;
  readonly sleepAtLeastMs: number;
}

interface AppendOperation extends Operation {
  readonly events: readonly Event[];
}

export class World implements Hosts {
  readonly scheduler: Scheduler;
  readonly temporal: Temporal;
  /** Ids of events whose append was acknowledged to whoever appended them. */
  readonly acknowledged = new Set<string>();
  /** What people asked for and were told is so. */
  readonly answered: Answered[] = [];
  private readonly processes = new Map<ProcessName, Process>();
  private readonly hung: Party[] = [];
  private readonly sent: (readonly Event[])[] = [];
  private unsynced: Event[] = [];
  private sidecar: Sidecar;
  private nowMs = 0;
  private turn = 0;
  private boots = 0;
  private asked = 0;
  private pauses = 0;
  private patientUntil = Infinity;

  constructor(readonly disks: Disks, schedule: Schedule, private readonly setup: Setup) {
    this.scheduler = new Scheduler(schedule, setup.sleepAtLeastMs);
    this.scheduler.whenQuiet = () => {
      if (this.scheduler.step > this.patientUntil) this.resumePaused();
      return checkConditions();
    };
    this.scheduler.whenIdle = () => this.resumePaused();
    this.sidecar = new Sidecar(disks.blobs);
    this.temporal = new Temporal(this.scheduler, this);
    for (const name of PROCESSES) this.boot(name);
  }

  host(queue: string, activity: string): { party: Party; run: (...args: unknown[]) => Promise<unknown> } {
    const names = POLLERS[queue] ?? [];
    const { party, activities } = this.processes.get(names[this.turn++ % names.length]!)!;
    return { party, run: activities[activity]! };
  }

  cancel(party: Party): void {
    for (const process of this.processes.values()) if (process.party === party) process.cancel();
  }

  /** Who hangs goes on, as a zombie. */
  wakeAll(): void {
    for (const party of this.hung.splice(0)) if (party.status === 'hung') party.status = 'up';
  }

  strike({ kind, arg }: Decision): boolean {
    return this.troubles[kind as FaultKind](arg);
  }

  private boot(name: ProcessName): void {
    this.boots += 1;
    const party: Party = { name: this.boots > PROCESSES.length ? `${name}'${this.boots}` : name, status: 'up' };
    this.processes.set(name, boot(party, this.setup.stands, this.portsOf(party)));
  }

  private portsOf(party: Party): Ports {
    const sidecar = <T>(label: string, work: (sidecar: Sidecar) => T): Promise<T> =>
      this.scheduler.call(party, 'sidecar', label, () => work(this.sidecar));
    const blob = <T>(label: string, work: (blobs: MemoryBlobs) => T): Promise<T> =>
      this.scheduler.call(party, 'blob', label, () => work(this.disks.blobs));
    const skewMs = this.boots * 37_000;
    return {
      logs: {
        open: () => Promise.resolve(this.logOf(party)),
        list: () => Promise.resolve([...this.disks.stores].filter(([, store]) => store.all().length > 0).map(([run]) => run)),
      },
      blobs: { put: (bytes) => blob('put', (b) => b.put(bytes)), get: (ref) => blob('get', (b) => b.get(ref)), has: (ref) => blob('has', (b) => b.has(ref)) },
      sampler: {
        // Where it may be interrupted it is several looks for newer weights long: only then can they come inside a turn.
        sample: (input, interrupt) => this.scheduler.callThatLasts(party, {
          kind: 'sidecar', label: 'sample', work: () => this.sidecar.sample(input, interrupt?.aborted), lastsMs: interrupt ? LOOKS_A_TURN * this.setup.sleepAtLeastMs : 0, interrupt,
        }),
        loadWeights: (hash, ref) => sidecar('load weights', (s) => s.loadWeights(hash, ref)),
      },
      scorer: {
        score: (input) => sidecar('score', (s) => s.score(input)),
        loadWeights: (hash, ref) => sidecar('load weights', (s) => s.loadWeights(hash, ref)),
      },
      trainer: {
        status: () => sidecar('status', (s) => s.status()),
        trainTokenizer: (corpus) => sidecar('tokenizer', (s) => s.trainTokenizer(corpus)),
        initializeModel: (config, seed) => sidecar('initialize', (s) => s.initializeModel(config, seed)),
        restore: (source) => sidecar('restore', (s) => s.restore(source)),
        step: (input) => sidecar('step', (s) => s.step(input)),
        snapshot: (hash) => sidecar('snapshot', (s) => s.snapshot(hash)),
        publishWeights: (hash) => sidecar('publish', (s) => s.publishWeights(hash)),
        export: () => Promise.reject(new Error('nothing is exported in a simulation')),
      },
      scoring: { scoreEpisodes: (request) => this.askScoring(party, request) },
      nowMs: () => this.scheduler.nowMs + this.nowMs + skewMs,
    };
  }

  private logOf(party: Party): EventLog {
    return {
      append: (events) => this.append(party, events),
      readStream: (stream, from = 0) => this.scheduler.call(party, 'read', `read ${stream}`, () => this.storeOf(stream).read(stream, from)),
      tail: () => { throw new Error('no service tails in a simulation'); },
      close: () => Promise.resolve(),
    };
  }

  /** Sent, landed, acknowledged: three moments, and between them anything may break. */
  private append(party: Party, events: readonly Event[]): Promise<void> {
    if (events.length === 0) return Promise.resolve();
    this.sent.push(events);
    const label = `append ${events.map((event) => event.payload?.$case).join('+')} to ${events[0]!.stream}`;
    return new Promise((resolve, reject) => {
      if (party.status === 'dead') return;
      const answer = (run: () => void): void => this.scheduler.answer(party, { kind: 'append', label, run, reject });
      const operation: Omit<AppendOperation, 'heldUntil'> = {
        kind: 'append', label: `${party.name}: ${label}`, owner: null, caller: party, events,
        run: () => {
          try {
            this.land(events);
          } catch (error) {
            answer(() => reject(error as Error));
            return;
          }
          answer(() => {
            for (const { id } of events) this.acknowledged.add(id);
            resolve();
          });
        },
        fail: (error) => answer(() => reject(error)),
      };
      this.scheduler.add(operation);
    });
  }

  private storeOf(stream: string): MemoryStore {
    return this.disks.stores.get(stream.split('/')[1]!)!;
  }

  private land(events: readonly Event[]): void {
    this.storeOf(events[0]!.stream).land(events);
    if (!this.disks.forgetful) return;
    this.unsynced.push(...events);
    this.scheduler.add({ kind: 'sync', label: 'sync', owner: null, caller: null, run: () => { this.unsynced = this.unsynced.filter((event) => !events.includes(event)); } });
  }

  /** Over gRPC, as in a learner of its own: the request, the work in the other process, the answer. */
  private askScoring(caller: Party, request: Parameters<Process['scoring']['scoreEpisodes']>[0]): ReturnType<Process['scoring']['scoreEpisodes']> {
    return new Promise((resolve, reject) => {
      this.scheduler.add({
        kind: 'call', label: `${caller.name}: asks for scores`, owner: null, caller,
        run: () => {
          const { party, scoring } = this.processes.get('scoring')!;
          this.scheduler.acting = party;
          this.calls.push({ party, fail: () => this.scheduler.answer(caller, { kind: 'call', label: 'scores', reject, run: () => reject(broken('scorer', 'UNAVAILABLE')) }) });
          scoring.scoreEpisodes(request).then(
            (scores) => this.scheduler.answer(caller, { kind: 'call', label: 'scores', reject, run: () => resolve(scores) }),
            (error: Error) => this.scheduler.answer(caller, { kind: 'call', label: 'scores', reject, run: () => reject(error) }),
          );
        },
        fail: (error) => this.scheduler.answer(caller, { kind: 'call', label: 'scores', reject, run: () => reject(error) }),
      });
    });
  }

  /** Calls that the scoring process has taken: its death fails them. */
  private readonly calls: { readonly party: Party; readonly fail: () => void }[] = [];

  private readonly troubles: { readonly [K in FaultKind]: (arg: number) => boolean } = {
    crash: (arg) => this.takeDown(arg, 'dead'),
    hang: (arg) => this.takeDown(arg, 'hung'),
    'time-out': (arg) => {
      const attempts = [...this.temporal.running];
      if (attempts.length > 0) this.temporal.giveUp(attempts[arg % attempts.length]!);
      return attempts.length > 0;
    },
    'lose-result': (arg) => this.breakOne('result', arg, (operation) => this.fail(operation, broken('temporal', 'TIMEOUT'))),
    'lose-append': (arg) => this.breakOne('append', arg, (operation) => {
      this.scheduler.remove(operation);
      operation.fail?.(broken('log', arg % 3 === 0 ? 'DISK_FULL' : 'UNAVAILABLE'));
    }),
    // Told that it failed; it lands all the same, now or while others work.
    'lose-acknowledgement': (arg) => this.breakOne('append', arg, (operation) => {
      operation.fail?.(broken('log', 'TIMEOUT'));
      const { events } = operation as AppendOperation;
      this.scheduler.remove(operation);
      this.scheduler.add({ ...operation, owner: null, caller: null, run: () => this.landLate(events) });
      this.scheduler.operations.at(-1)!.heldUntil = this.scheduler.step + (arg % 5) * 20;
    }),
    delay: (arg) => {
      const open = this.scheduler.operations.filter(({ owner }) => owner === null);
      const operation = open[arg % Math.max(1, open.length)];
      if (operation) operation.heldUntil = this.scheduler.step + 1 + (arg % 97);
      return operation !== undefined;
    },
    duplicate: (arg) => {
      const events = this.sent[arg % Math.max(1, this.sent.length)];
      // Only what has landed can be delivered again.
      if (events === undefined || !events.every(({ id, stream }) => this.storeOf(stream).has(id))) return false;
      this.landLate(events);
      return true;
    },
    'disk-full': (arg) => this.breakOne('blob', arg, (operation) => this.fail(operation, broken('blob', 'DISK_FULL'))),
    'blob-away': (arg) => this.breakOne('blob', arg, (operation) => this.fail(operation, broken('blob', 'UNAVAILABLE'))),
    'kill-sidecar': () => this.killSidecar(),
    'lose-answer': (arg) => {
      const answers = this.scheduler.operations.filter(({ kind, origin }) => kind === 'answer' && (origin === 'sidecar' || origin === 'call'));
      const operation = answers[arg % Math.max(1, answers.length)];
      if (operation) this.fail(operation, broken('trainer', 'UNAVAILABLE'));
      return operation !== undefined;
    },
    clock: (arg) => {
      this.nowMs += (arg % 120_000) - 40_000;
      return true;
    },
    'lose-workflow': () => {
      this.temporal.forgetWorkflow();
      this.onWorkflowLost();
      return true;
    },
    'corrupt-snapshot': (arg) => {
      const taken = this.disks.stores.get(this.setup.run)!.all().flatMap(({ event }) => (event.payload?.$case === 'snapshotTaken' ? [event.payload.value.snapshot!] : []));
      const snapshot = taken[arg % Math.max(1, taken.length)];
      if (snapshot) this.disks.blobs.damage(snapshot);
      return snapshot !== undefined;
    },
    pause: () => {
      this.pauses += 1;
      this.patientUntil = this.scheduler.step + PAUSED_STEPS;
      return this.ask('pause', {});
    },
    resume: () => this.ask('resume', {}),
    stop: () => this.ask('stop', {}),
    amend: (arg) => this.ask('amend', { stage: AMENDED[arg % AMENDED.length]!, path: 'optimizer.learningRate', value: (1 + (arg >>> 8) % 9) / 1000 }),
  };

  private ask(action: string, input: object): boolean {
    const { workflow } = this.temporal;
    const id = `${action}-${(this.asked += 1)}`;
    this.scheduler.add({
      kind: 'call', label: `a person asks: ${id}`, owner: workflow, caller: workflow,
      run: () => void update(action, id, input)?.then(({ effectiveStep }) => this.answered.push({ id, effectiveStep }), () => undefined),
    });
    return true;
  }

  /** More often than it was paused: an answer may come after the one that took it back. */
  private resumePaused(): boolean {
    this.patientUntil = Infinity;
    if (this.pauses === 0) return false;
    this.pauses -= 0.5;
    this.patientUntil = this.scheduler.step + PAUSED_STEPS;
    return this.ask('resume', {});
  }

  /** Set by who started the workflow: starts it again. */
  onWorkflowLost: () => void = () => undefined;

  private landLate(events: readonly Event[]): void {
    try {
      this.land(events);
    } catch (error) {
      // Nobody waits for it.
      if (!(error instanceof StemmaError)) throw error;
    }
  }

  private takeDown(arg: number, status: 'dead' | 'hung'): boolean {
    const name = PROCESSES[arg % PROCESSES.length]!;
    const { party } = this.processes.get(name)!;
    party.status = status;
    if (status === 'dead') this.bury(party);
    else this.suspend(party, arg >>> 4);
    this.boot(name);
    this.temporal.giveUpAllOf(party);
    for (const call of this.calls.filter((each) => each.party === party)) call.fail();
    return true;
  }

  /** Until it wakes, as a zombie: its work has gone to others. */
  private suspend(party: Party, arg: number): void {
    this.hung.push(party);
    this.scheduler.add({
      kind: 'timer', label: `${party.name} wakes`, owner: null, caller: null,
      run: () => { if (party.status === 'hung') party.status = 'up'; },
    });
    this.scheduler.operations.at(-1)!.heldUntil = this.scheduler.step + (arg % 400);
  }

  /** What it had sent may still arrive; nothing is answered any more. */
  private bury(party: Party): void {
    this.scheduler.operations = this.scheduler.operations.filter(({ caller, kind }) => caller !== party || kind === 'append');
    if (!this.disks.forgetful) return;
    this.disks.stores.get(this.setup.run)!.lose(new Set(this.unsynced));
    this.unsynced = [];
  }

  private breakOne(kind: OperationKind, arg: number, breakIt: (operation: Operation) => void): boolean {
    const candidates = this.scheduler.operations.filter((operation) => operation.kind === kind);
    const operation = candidates[(arg >>> 8) % Math.max(1, candidates.length)];
    if (operation) breakIt(operation);
    return operation !== undefined;
  }

  private fail(operation: Operation, error: Error): void {
    this.scheduler.remove(operation);
    operation.fail?.(error);
  }

  private killSidecar(): boolean {
    this.sidecar = new Sidecar(this.disks.blobs);
    for (const operation of [...this.scheduler.operations]) {
      if (operation.kind === 'sidecar' || operation.origin === 'sidecar') this.fail(operation, broken('trainer', 'UNAVAILABLE'));
    }
    return true;
  }
}
