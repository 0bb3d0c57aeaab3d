/**
 * Which blobs the logs reach: whatever any event of any run names, lost claims and duplicates included, and what those blobs
 * name in turn. Wider than what a fold needs: a blob too many costs its bytes, one too few costs a run.
 */
import { StemmaError } from '../../core/errors.js';
import { foldStream } from '../../core/log/fold.js';
import { episodeStream, runStream, stageStream } from '../../core/log/keys.js';
import type { BlobStore, EventLog, RunLogs } from '../../core/ports.js';
import { runFold } from '../../core/run/run.js';
import { stageFold } from '../../core/stage/stage.js';
import { isSuperseded, LEAST_RETENTION, type StageStanding } from '../../core/stage/superseded.js';
import { Batch } from '../../proto/gen/stemma/v1/data.js';
import type { BlobRef, Event } from '../../proto/gen/stemma/v1/events.js';
import { chunksOf } from '../runtime/chunks.js';

export interface Reached {
  readonly runs: number;
  /** By sha256: the event that names it first, `manifest` where the manifest does, `batch` where a batch does. */
  readonly namedBy: ReadonlyMap<string, string>;
  /** Named only by facts that later ones have superseded, though by the least retention; true where the one asked for keeps them. */
  readonly superseded: ReadonlyMap<string, boolean>;
}

/** Rejects where a log, a manifest or a batch cannot be read: what it names is then not known, and nothing may be collected. */
export async function reachedBlobs(logs: readonly RunLogs[], blobs: BlobStore, retention = LEAST_RETENTION): Promise<Reached> {
  const namedBy = new Map<string, string>();
  const superseded = new Map<string, boolean>();
  let runs = 0;
  const mark = (found: readonly BlobRef[], by: string): void => {
    for (const { sha256 } of found) if (!namedBy.has(sha256)) namedBy.set(sha256, by);
  };
  for (const each of logs) {
    for (const run of await each.list()) {
      await withLog(each, run, async (log) => {
        for await (const { event, standing } of eventsOf(log, run)) {
          if (standing !== undefined && isSuperseded(event.payload, standing, LEAST_RETENTION)) {
            const kept = !isSuperseded(event.payload, standing, retention);
            for (const { sha256 } of refsIn(event.payload?.value)) superseded.set(sha256, kept || superseded.get(sha256) === true);
            continue;
          }
          mark(refsIn(event.payload?.value), event.payload?.$case ?? '');
          await markNested(event, blobs, mark);
        }
      });
      runs += 1;
    }
  }
  for (const sha256 of namedBy.keys()) superseded.delete(sha256);
  return { runs, namedBy, superseded };
}

/** A run whose log is made but empty, or that has been deleted since it was listed, names nothing. */
async function withLog(logs: RunLogs, run: string, work: (log: EventLog) => Promise<void>): Promise<void> {
  const log = await logs.open(run, 'read').catch((error: unknown) => {
    if (error instanceof StemmaError && error.code === 'NOT_FOUND') return null;
    throw error;
  });
  try {
    if (log !== null) await work(log);
  } finally {
    await log?.close();
  }
}

interface Read {
  readonly event: Event;
  /** Of its stage, for an event of a stage stream. */
  readonly standing?: StageStanding;
}

/** Every stored event: the streams that the run stream and the stage streams speak of. */
async function* eventsOf(log: EventLog, run: string): AsyncGenerator<Read> {
  const stages = new Set<string>();
  const episodes = new Set<string>();
  const ofRun = await log.readStream(runStream(run));
  for (const { event } of ofRun) {
    if (event.payload?.$case === 'stageStarted') stages.add(event.payload.value.stage);
    yield { event };
  }
  const { state } = foldStream(runFold, ofRun);
  for (const stage of stages) {
    const ofStage = await log.readStream(stageStream(run, stage));
    const { committed, snapshots } = foldStream(stageFold, ofStage).state;
    // A fork's own copies of what it shares stay for as long as it has not gone on: they make its start quick.
    const standing = {
      finished: state.stages.get(stage)?.result !== undefined, committed: committed.length, snapshots: new Set(snapshots.map(({ step }) => step)), shared: 0,
    };
    for (const { event } of ofStage) {
      if (event.payload?.$case === 'episodesRequested') for (const { episode } of event.payload.value.episodes) episodes.add(episode);
      yield { event, standing };
    }
  }
  for (const chunk of chunksOf([...episodes])) {
    const streams = await Promise.all(chunk.map((episode) => log.readStream(episodeStream(run, episode))));
    for (const { event } of streams.flat()) yield { event };
  }
}

async function markNested({ payload }: Event, blobs: BlobStore, mark: (found: readonly BlobRef[], by: string) => void): Promise<void> {
  if (payload?.$case === 'runCreated' && payload.value.manifest) {
    mark(refsIn(JSON.parse(new TextDecoder().decode(await blobs.get(payload.value.manifest)))), 'manifest');
  }
  if (payload?.$case === 'batchClosed' && payload.value.batch) {
    const { samples } = Batch.decode(await blobs.get(payload.value.batch));
    const tables = samples.flatMap(({ terms }) => terms.flatMap(({ kind }) => (kind?.$case === 'salientVocabulary' ? [kind.value.scoreBlobSha256] : [])));
    mark(tables.map((sha256) => ({ sha256, length: 0n })), 'batch');
  }
}

/** Every `{sha256, length}` in a value, however deep. */
export function refsIn(value: unknown): BlobRef[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  const { sha256, length } = value as Partial<BlobRef>;
  if (typeof sha256 === 'string' && length !== undefined) return sha256 === '' ? [] : [{ sha256, length: BigInt(length) }];
  return Object.values(value).flatMap(refsIn);
}
