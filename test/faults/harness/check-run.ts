/** One finished run judged from outside: the oracle's file, the log, the blobs and the replayed weights. */
import { join } from 'node:path';
import { episodeFold } from '../../../core/episode/episode.js';
import { foldStream } from '../../../core/log/fold.js';
import { episodeStream } from '../../../core/log/keys.js';
import type { RunLogs, StoredEvent } from '../../../core/ports.js';
import { checkLedger } from '../../../core/projection/ledger.js';
import { runViewOf, type RunView } from '../../../core/projection/run-view.js';
import { openDirectoryBlobs } from '../../../services/adapters/blob/directory.js';
import { createRunContexts } from '../../../services/runtime/run-context.js';
import { deriveSeed } from '../../../services/runtime/seed.js';
import { cli } from '../../support/quickstart.js';
import { mislabelled } from './check-labels.js';
import { duplicatedFacts, lostEvents, readStreams, repeatedInVain, repeatedTurns } from './check-log.js';
import type { OracleLine } from './oracle.js';

export interface Verdict {
  readonly lost: readonly string[];
  readonly duplicated: readonly string[];
  readonly mislabelled: readonly string[];
  /** The ledger's violations, missing or altered blobs among them. */
  readonly ledger: readonly string[];
  /** R1 as `stemma replay` says it. */
  readonly replay: string;
  /** Of the last stage; '' where the run did not finish. */
  readonly weights: string;
  readonly asynchrony: Asynchrony;
  /** For each fault: how many turns of one episode were sampled again after it, at most. */
  readonly repeatedTurns: readonly number[];
  /** Episodes of which more turns were sampled again than they were taken over. */
  readonly repeatedInVain: readonly string[];
}

/** What became of samples over changes of weights. */
export interface Asynchrony {
  /** Members of batches with importance weights. */
  readonly weighted: number;
  /** Episodes dropped as stale. */
  readonly dropped: number;
  /** Turns inside which the weights changed. */
  readonly changed: number;
}

export interface Finished {
  readonly home: string;
  readonly run: string;
  readonly logs: RunLogs;
  readonly oracle: readonly OracleLine[];
  /** Settings of the commands that audit it, e.g. where its log is. */
  readonly environment?: { readonly [name: string]: string };
}

export async function checkRun(finished: Finished): Promise<Verdict> {
  const { home, run, environment = {} } = finished;
  const judged = await checkFacts(finished);
  const audited = await cli(home, ['verify', run], environment);
  const replayed = await cli(home, ['replay', run], environment);
  return {
    ...judged,
    ledger: [...judged.ledger, ...(audited.code === 0 ? [] : [audited.stdout.trim() || audited.stderr.trim()])],
    replay: /\b(IDENTICAL|DIFFERENT_FINGERPRINT|DIVERGED)\b/.exec(replayed.stdout + replayed.stderr)?.[0] ?? `no verdict: ${replayed.stderr.slice(-300)}`,
  };
}

/** What needs no process of its own: without the commands' audit of all blobs and without the replay. */
export async function checkFacts({ home, run, logs, oracle }: Omit<Finished, 'environment'>): Promise<Omit<Verdict, 'replay'>> {
  const blobs = await openDirectoryBlobs(join(home, 'blobs'));
  const log = await logs.open(run, 'read');
  try {
    const streams = await readStreams(log, oracle);
    const view = runViewOf([...streams.values()].flat());
    const context = await createRunContexts(logs, blobs, 'read').get(run);
    const labels = await mislabelled({ view, streams, context, blobs });
    const last = context.recipe.stages.at(-1)?.id ?? '';
    const end = view.run.end;
    const episodeOfSeed = episodesBySeed(view);
    return {
      lost: lostEvents(oracle, streams), duplicated: duplicatedFacts(view), mislabelled: labels,
      ledger: checkLedger(view),
      weights: end?.status === 'finished' ? view.run.stages.get(last)?.result?.weightsHash ?? '' : '',
      asynchrony: asynchronyOf(view, streams), repeatedTurns: repeatedTurns(oracle, episodeOfSeed),
      repeatedInVain: repeatedInVain(oracle, episodeOfSeed, (episode) => episodeStream(run, episode)),
    };
  } finally {
    await log.close();
  }
}

function asynchronyOf({ stages, requests }: RunView, streams: ReadonlyMap<string, readonly StoredEvent[]>): Asynchrony {
  const facts = [...stages.values()];
  const weighted = facts.flatMap(({ committed }) => committed.flatMap(({ stats }) => stats.filter(({ name }) => name === 'weighted_members')));
  const stale = facts.flatMap(({ dropped }) => dropped.filter(({ reason }) => reason === 'stale').map(({ episode }) => episode));
  const turns = [...streams].filter(([stream]) => stream.startsWith('episode/')).flatMap(([, stored]) => foldStream(episodeFold, stored).state.turns);
  return {
    weighted: weighted.reduce((sum, each) => sum + each.sum, 0), dropped: new Set(stale.filter((episode) => requests.has(episode))).size,
    changed: turns.filter(({ spans }) => spans.length > 1).length,
  };
}

/** Turns of an episode beyond this number are not told apart. */
const MAX_TURNS = 16;

/** The seed of each turn names its episode: what is sampled twice is known by it. */
function episodesBySeed(view: RunView): Map<string, string> {
  return new Map([...view.requests].flatMap(([episode, [requested]]) =>
    Array.from({ length: MAX_TURNS }, (_, turn) => [String(deriveSeed([requested!.episode.seed, turn])), episode] as const)));
}
