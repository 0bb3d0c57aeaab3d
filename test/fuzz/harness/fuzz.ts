/**
 * The loop: seeded cases against a service until the time is over, each answer judged by an oracle that knows nothing of the case.
 * A case is a function of (seed, target, number): `STEMMA_TEST_FUZZ_CASE` runs one alone.
 */
import { diceOf, type Dice } from '../../support/random.js';
import type { Answer } from './grpc-call.js';
import { heldBy } from './watched-process.js';

export const SECONDS = Number(process.env['STEMMA_TEST_FUZZ_SECONDS'] ?? 5);
export const SEED = Number(process.env['STEMMA_TEST_FUZZ_SEED'] ?? 1);
const ONLY_CASE = process.env['STEMMA_TEST_FUZZ_CASE'];
const AT_ONCE = 6;
/** Problems told; one is enough to fail, and more of them say where to look. */
const MOST_PROBLEMS = 10;
const CASE_MS = 20_000;

export interface Attempt {
  /** What was sent, short enough to read. */
  readonly about: string;
  readonly answer: Answer;
  /** This case must not be answered as if it were good. */
  readonly mustFail?: boolean;
  /** A stream that goes on until somebody ends it. */
  readonly mayStayOpen?: boolean;
}

export interface Target {
  readonly name: string;
  pid(): number;
  attempt(dice: Dice, number: number): Promise<Attempt>;
  /** A good request; throws unless it is answered as it should be. */
  good(): Promise<void>;
  /** Connections of the attacker, closed before handles are counted. */
  release(): void;
  /** What must never be read in an answer. */
  readonly secrets: readonly string[];
  readonly growthMiB: number;
}

export interface Report {
  readonly cases: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  readonly growthMiB: number;
  readonly handlesBefore: number;
  readonly handlesAfter: number;
  /** Open now and not before. */
  readonly opened: readonly string[];
}

const STATUS = ['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION',
  'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'] as const;
/** gRPC libraries refuse what is no message themselves, as INTERNAL: they say no more than this. */
const OF_THE_LIBRARY = /grpc-timeout|deserializ|compress|encoding|protobuf|(un)?marshal|message (size|length)|frame|half-?close|cardinality|too many|RST_STREAM|invalid wire type|premature EOF|index out of range|no message|Received|flag|missing/i;
const TRACE = /\n\s+at .+:\d+:\d+|Traceback \(most recent|File ".+", line \d+|\bat (async )?\w+.*\((file|node|\/).*:\d+:\d+\)/;

/** What is wrong with an answer; undefined where nothing is. */
export function problemOf(attempt: Attempt, secrets: readonly string[]): string | undefined {
  const { about, answer: { grpcStatus, httpStatus, how, text } } = attempt;
  const status = grpcStatus === null ? '' : STATUS[grpcStatus] ?? `code ${grpcStatus}`;
  const what = wordsThatTell(text, secrets) ?? failureOf(attempt, status);
  return what === undefined ? undefined : `${what}: ${about}\n    → ${status || String(httpStatus)} (${how}) ${text.slice(0, 600)}`;
}

function wordsThatTell(text: string, secrets: readonly string[]): string | undefined {
  if (TRACE.test(text)) return 'a stack trace';
  const leaked = secrets.find((secret) => text.includes(secret));
  return leaked === undefined ? undefined : `'${leaked.slice(0, 12)}…' in the answer`;
}

function failureOf({ answer: { grpcStatus, httpStatus, text, how }, mustFail, mayStayOpen }: Attempt, status: string): string | undefined {
  if (status === 'UNKNOWN') return 'an unclassified failure';
  if (httpStatus === 500 || (status === 'INTERNAL' && !isOfTheLibrary(text))) return 'an internal failure';
  if (how === 'cancelled' && mayStayOpen !== true) return 'no answer';
  const isLetIn = status === 'OK' || (httpStatus === 200 && grpcStatus === null && how === 'ended');
  return mustFail === true && isLetIn ? 'let in' : undefined;
}

/** The services' own begin with their reason. */
function isOfTheLibrary(text: string): boolean {
  return !text.startsWith('INTERNAL: ') && OF_THE_LIBRARY.test(text);
}

export async function fuzz(target: Target, seconds = SECONDS, seed = SEED): Promise<Report> {
  await target.good();
  // Lazily loaded code and first connections belong to the baseline.
  for (let number = 0; number < 20; number += 1) await target.attempt(diceOf(number), number).catch(() => undefined);
  target.release();
  await target.good();
  const before = await settled(target.pid());
  const loop = new Loop(target, seed);
  await (ONLY_CASE === undefined ? loop.until(performance.now() + seconds * 1000) : loop.one(Number(ONLY_CASE)));
  target.release();
  await target.good().catch((error: unknown) => loop.problems.push(`a good request is no longer answered: ${String(error)}`));
  const after = await settled(target.pid(), before.handles + 2);
  return { cases: loop.cases, statuses: loop.statuses, problems: loop.problems, growthMiB: after.residentMiB - before.residentMiB, handlesBefore: before.handles, handlesAfter: after.handles, opened: without(after.names, before.names) };
}

function without(all: readonly string[], some: readonly string[]): string[] {
  const left = [...some];
  return all.filter((name) => {
    const at = left.indexOf(name);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

class Loop {
  cases = 0;
  readonly statuses: Record<string, number> = {};
  readonly problems: string[] = [];

  constructor(private readonly target: Target, private readonly seed: number) {}

  async until(endMs: number): Promise<void> {
    let next = 0;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (performance.now() < endMs && this.problems.length < MOST_PROBLEMS) {
        const number = next++;
        await this.one(number);
        if (number % 200 === 199) await this.target.good().catch((error: unknown) => this.problems.push(`after case ${number} a good request is not answered: ${String(error)}`));
      }
    }));
  }

  async one(number: number): Promise<void> {
    const where = `--seed ${this.seed} --case ${number} of ${this.target.name}`;
    this.cases += 1;
    const attempt = await inTime(this.target.attempt(diceOf(this.seed * 1_000_003 + number * 7919), number)).catch((error: unknown) => String(error));
    if (typeof attempt === 'string') return void this.problems.push(`${where}: ${attempt}`);
    const key = attempt.answer.grpcStatus === null ? `${attempt.answer.httpStatus ?? attempt.answer.how}` : STATUS[attempt.answer.grpcStatus] ?? '?';
    this.statuses[key] = (this.statuses[key] ?? 0) + 1;
    const problem = problemOf(attempt, this.target.secrets);
    if (problem !== undefined) this.problems.push(`${where}: ${problem}`);
  }
}

function inTime<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer within ${CASE_MS / 1000} s`)), CASE_MS);
    work.then(resolve, reject).finally(() => clearTimeout(late));
  });
}

/** Sockets close a moment after their peer's; waits until no more than `atMost` are open, or long enough. */
async function settled(pid: number, atMost = 0): Promise<ReturnType<typeof heldBy>> {
  for (let tries = 0; ; tries += 1) {
    const held = heldBy(pid);
    if (tries > 0 && (held.handles <= atMost || tries >= (atMost === 0 ? 5 : 200))) return held;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
