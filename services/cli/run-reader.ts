/** Runs as the command line sees them: folded from their logs, read-only. */
import { setTimeout as delay } from 'node:timers/promises';
import { StemmaError } from '../../core/errors.js';
import { episodeStream, runStream, stageStream } from '../../core/log/keys.js';
import type { BlobStore, EventLog } from '../../core/ports.js';
import { curvesOf } from '../../core/projection/curves.js';
import type { StageCurves } from '../../core/projection/curves.js';
import { progressOf } from '../../core/projection/progress.js';
import type { RunProgress } from '../../core/projection/progress.js';
import { runViewFeed } from '../../core/projection/run-view.js';
import type { RunView } from '../../core/projection/run-view.js';
import { chunksOf } from '../runtime/chunks.js';
import type { Manifest } from '../runtime/run-context.js';
import { followRun } from '../runtime/run-follower.js';
import type { Stores } from './platform.js';

export interface RunSnapshot {
  readonly run: string;
  /** null until the run's first event. */
  readonly manifest: Manifest | null;
  readonly view: RunView;
  readonly progress: RunProgress;
  readonly curves: readonly StageCurves[];
}

/** Between looks at a live run: costs a millisecond or two each, and nobody waits longer for its end. */
const LOOK_EVERY_MS = 300;
/** Between looks for a log that a submitted run has not created yet. */
const APPEARANCE_POLL_MS = 100;

/**
 * The run as its log stands now. Without episodes (`'stages'`) it is quick: their counts then read as owed.
 * NOT_FOUND if there is no such run.
 */
export async function readRun(stores: Stores, run: string, depth: 'stages' | 'episodes'): Promise<RunSnapshot> {
  const log = await openForReading(stores, run);
  const feed = runViewFeed();
  const read = async (streams: readonly string[]): Promise<void> => {
    for (const chunk of chunksOf(streams)) {
      for (const events of await Promise.all(chunk.map((stream) => log.readStream(stream)))) feed.add(events);
    }
  };
  try {
    await read([runStream(run)]);
    await read([...feed.view().run.stages.keys()].map((stage) => stageStream(run, stage)));
    if (depth === 'episodes') await read([...feed.view().requests.keys()].map((episode) => episodeStream(run, episode)));
  } finally {
    await log.close();
  }
  return snapshot(stores.blobs, run, feed.view());
}

async function openForReading(stores: Stores, run: string): Promise<EventLog> {
  try {
    return await stores.logs.open(run, 'read');
  } catch (error) {
    if (!(error instanceof StemmaError) || error.code !== 'NOT_FOUND') throw error;
    const known = await stores.logs.list();
    const remedy = known.length === 0 ? 'Nothing has run yet: start with `npm run quickstart`.' : `Known runs, newest first: ${known.slice(0, 10).join(', ')}.`;
    throw new StemmaError('gateway', 'NOT_FOUND', `there is no run '${run}'`, remedy, error);
  }
}

async function snapshot(blobs: BlobStore, run: string, view: RunView, known: Manifest | null = null): Promise<RunSnapshot> {
  const manifest = known ?? (await readManifest(blobs, view));
  return { run, manifest, view, progress: progressOf(view, manifest?.recipe.stages ?? []), curves: curvesOf(view) };
}

async function readManifest(blobs: BlobStore, view: RunView): Promise<Manifest | null> {
  const ref = view.run.created?.manifest;
  return ref === undefined ? null : (JSON.parse(new TextDecoder().decode(await blobs.get(ref))) as Manifest);
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** At most one snapshot in this time. */
  readonly intervalMs: number;
}

/**
 * Snapshots of a live run, one whenever its log has grown; the last one after its terminal event.
 * Ends when the run has ended or `signal` aborts. Waits for a run whose log is not there yet.
 */
export async function* watchRun(stores: Stores, run: string, options: WatchOptions): AsyncGenerator<RunSnapshot> {
  const { signal, intervalMs } = options;
  const log = await whenThere(stores, run, signal);
  if (log === null) return;
  const follower = followRun(log, run);
  let manifest: Manifest | null = null;
  let shownMs = -Infinity;
  try {
    while (!signal.aborted) {
      const grown = await follower.look();
      const ended = follower.view().run.end !== undefined;
      if (ended || (grown && performance.now() - shownMs >= intervalMs)) {
        const now = await snapshot(stores.blobs, run, follower.view(), manifest);
        manifest = now.manifest;
        shownMs = performance.now();
        yield now;
        if (ended) return;
      }
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await log.close();
  }
}

async function whenThere(stores: Stores, run: string, signal: AbortSignal): Promise<EventLog | null> {
  while (!signal.aborted) {
    try {
      return await stores.logs.open(run, 'read');
    } catch (error) {
      if (!(error instanceof StemmaError) || error.code !== 'NOT_FOUND') throw error;
      await delay(APPEARANCE_POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  return null;
}
