/** A run in a platform of this process: start or go on, show progress, end in a table, a report and an exit code. */
import { join } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import type { Recipe } from '../../core/recipe/recipe.js';
import type { ForkInput } from '../../workflows/activities.js';
import { recipeNotes } from '../../core/recipe/validate.js';
import { writeReport } from '../report/write-report.js';
import type { Config } from '../runtime/config.js';
import { createLogger } from '../runtime/logger.js';
import { assertRunnable } from '../runtime/runnable.js';
import { EXIT_INTERRUPTED } from '../runtime/shutdown.js';
import { waitFor } from '../runtime/wait-for.js';
import type { CliDeps } from './deps.js';
import { durationText, hashText } from './figures.js';
import { finalTable } from './final-table.js';
import { outcomeOf } from './outcome.js';
import type { Platform, PlatformOptions } from './platform.js';
import { createProgressView } from './progress-view.js';
import { chooseRun, whereItStands } from './resume.js';
import { watchRun } from './run-reader.js';
import type { RunSnapshot } from './run-reader.js';
import { withShutdown } from './with-shutdown.js';
import { withStores } from './with-stores.js';

export interface RunHere {
  readonly recipe: Recipe;
  /** As given: a name or a path. */
  readonly recipeName: string;
  readonly seed: number;
  readonly fresh: boolean;
  readonly json: boolean;
  /** The run is this fork. */
  readonly fork?: { readonly run: string; readonly input: ForkInput };
}

/** Each look folds the run again, on the thread that also orchestrates it: lines that come every few seconds need no more. */
const REFRESH_MS = { terminal: 500, plain: 2_000 };

/** Temporal is our own child: killed or stopped while it was asked, it answers when it is back. */
const TAKEN_WITHIN_MS = 600_000;

/** Returns the exit code. */
export async function runHere(deps: CliDeps, request: RunHere): Promise<number> {
  assertRunnable(request.recipe);
  const { terminal } = deps;
  const config = deps.config();
  const saysSo = (): void => terminal.say('Stopping: finishing what is in flight. (Ctrl-C again ends at once; nothing is lost either way.)');
  return withShutdown(deps, async (stopAsked) => {
    const choice = request.fork === undefined ? await withStores(deps, (stores) => chooseRun(stores, request.recipe, request.seed, request.fresh))
      : { run: request.fork.run, resumed: null, note: '' };
    for (const note of [...recipeNotes(request.recipe), choice.note]) if (note !== '') terminal.say(note);
    terminal.say(choice.resumed === null
      ? `Run ${choice.run}: recipe ${request.recipe.name}, seed ${request.seed}.`
      : `Going on with run ${choice.run} from where it was: ${whereItStands(choice.resumed)}.`);
    return runOpen(deps, { config, request, run: choice.run, stopAsked }).catch((error: unknown) => {
      // It ended the waiting for a Temporal that does not answer.
      if (!stopAsked.aborted || !(error instanceof StemmaError) || !error.retriable) throw error;
      terminal.say('Stopped before it began. The same command goes on from here.');
      return EXIT_INTERRUPTED;
    });
  }, saysSo);
}

interface RunOpen extends Pick<Drive, 'config' | 'request' | 'run'> {
  readonly stopAsked: AbortSignal;
}

async function runOpen(deps: CliDeps, { stopAsked, ...what }: RunOpen): Promise<number> {
  const givenUp = new AbortController();
  const end = (error: StemmaError): void => givenUp.abort(error);
  const platform = await openPlatform(deps, { config: what.config, onlyRun: what.run, stop: stopAsked, onGivenUp: end, onFailure: end });
  try {
    return await drive(deps, { ...what, platform, signal: AbortSignal.any([stopAsked, givenUp.signal]) });
  } finally {
    await platform.close();
  }
}

type Opening = Pick<PlatformOptions, 'config' | 'onlyRun' | 'stop' | 'onGivenUp' | 'onFailure'>;

async function openPlatform(deps: CliDeps, opening: Opening): Promise<Platform> {
  const { config } = opening;
  const file = logFileOf(config);
  const platform = await (await deps.doors()).openPlatform({
    ...opening,
    logger: createLogger({ service: 'all-in-one', level: config.logLevel, file }),
    onStart: (what) => deps.terminal.say(`  ${what}`),
    onTrouble: (message) => deps.terminal.say(`stemma: ${message} It is tried again until then; Ctrl-C loses nothing.`),
  });
  sayAddresses(deps, platform, file);
  return platform;
}

/** Log lines of a platform that shows progress on stderr. */
export function logFileOf(config: Config): string {
  return config.logFile === '' ? join(config.home, 'stemma.jsonl') : config.logFile;
}

export function sayAddresses(deps: CliDeps, platform: Platform, logFile: string): void {
  const { temporalUi, metrics, gateway } = platform.addresses;
  const lines: readonly [string, string][] = [['Temporal UI', temporalUi], ['metrics', metrics], ['gateway', gateway], ['log lines', logFile]];
  for (const [name, address] of lines) if (address !== '') deps.terminal.say(`  ${name.padEnd(12)} ${address}`);
}

interface Drive {
  readonly config: Config;
  readonly platform: Platform;
  readonly request: RunHere;
  readonly run: string;
  readonly signal: AbortSignal;
}

async function drive(deps: CliDeps, { config, platform, request, run, signal }: Drive): Promise<number> {
  const submit = (): Promise<void> => platform.submit({ run, recipe: request.recipeName, seed: request.seed, ...(request.fork && { fork: request.fork.input }) });
  await waitFor(submit, { onWait: (why) => deps.terminal.say(`  ${why}`), stop: signal, withinMs: TAKEN_WITHIN_MS });
  const view = createProgressView(deps.terminal, deps.nowMs);
  let last: RunSnapshot | null = null;
  for await (const snapshot of watchRun(platform, run, { signal, intervalMs: deps.terminal.isTty ? REFRESH_MS.terminal : REFRESH_MS.plain })) {
    view.show(snapshot);
    last = snapshot;
  }
  if (signal.reason instanceof StemmaError) throw signal.reason;
  if (signal.aborted) {
    const where = last === null ? '' : ` (${whereItStands(last)})`;
    deps.terminal.say(`Stopped${where}. The same command goes on from here.`);
    return EXIT_INTERRUPTED;
  }
  if (last === null) throw new StemmaError('log', 'NOT_FOUND', `run ${run} left no events`, 'Look at the log lines, then start again.');
  return finish(deps, { config, platform, request, snapshot: last });
}

interface Finish {
  readonly config: Config;
  readonly platform: Platform;
  readonly request: RunHere;
  readonly snapshot: RunSnapshot;
}

async function finish(deps: CliDeps, { config, platform, request, snapshot }: Finish): Promise<number> {
  const { terminal } = deps;
  const report = await writeReport(snapshot, join(config.home, 'reports'));
  const { end } = snapshot.view.run;
  if (end?.status !== 'finished') {
    terminal.say(`report: ${report}`);
    throw new StemmaError('gateway', 'INVALID',
      end?.status === 'failed' ? `run ${snapshot.run} failed: ${end.message}` : `run ${snapshot.run} was stopped: ${end?.reason ?? 'no reason given'}`,
      'Correct the cause if there is one; the same command then starts a new run.');
  }
  const outcome = outcomeOf(snapshot, await platform.peakMemoryMiB());
  const { total, compute, orchestration, waiting } = outcome.seconds;
  const say = request.json ? terminal.say : terminal.print;
  say(`\n${finalTable(outcome.accuracy)}\n`);
  say(`weights  ${hashText(outcome.weights)}`);
  say(`time     ${durationText(total)}: compute ${durationText(compute)}, orchestration ${durationText(orchestration)}, waiting ${durationText(waiting)}; peak memory ${outcome.peakMemoryMiB} MiB`);
  say(`report   ${report}`);
  if (request.json) terminal.print(JSON.stringify(outcome));
  return 0;
}
