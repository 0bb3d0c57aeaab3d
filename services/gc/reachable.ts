/**
 * Which blobs the logs reach: whatever any event of any run names, lost claims and duplicates included, and what those blobs
 * name in turn. Wider than what a fold needs: a blob too many costs its bytes, one too few costs a run.
 */
import { StemmaError } from '../../core/errors.js';
import { episodeStream, runStream, stageStream } from '../../core/log/keys.js';
import type { BlobStore, EventLog, RunLogs } from '../../core/ports.js';
import { Batch } from '../../proto/gen/stemma/v1/data.js';
import type { BlobRef, Event } from '../../proto/gen/stemma/v1/events.js';
import { chunksOf } from '../runtime/chunks.js';

export interface Reached {
  readonly runs: number;
  /** By sha256: the event that names it first, `manifest` where the manifest does, `batch` where a batch does. */
  readonly namedBy: ReadonlyMap<string, string>;
}

/** Rejects where a log, a manifest or a batch cannot be read: what it names is then not known, and nothing may be collected. */
export async function reachedBlobs(logs: readonly RunLogs[], blobs: BlobStore): Promise<Reached> {
  const namedBy = new Map<string, string>();
  let runs = 0;
  const mark = (found: readonly BlobRef[], by: string): void => {
    for (const { sha256 } of found) if (!namedBy.has(sha256)) namedBy.set(sha256, by);
  };
  for (const each of logs) {
    for (const run of await each.list()) {
      await withLog(each, run, async (log) => {
        for await (const event of eventsOf(log, run)) {
          mark(refsIn(event.payload?.value), event.payload?.$case ?? '');
          await markNested(event, blobs, mark);
        }
      });
      runs += 1;
    }
  }
  return { runs, namedBy };
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

/** Every stored event: the streams that the run stream and the stage streams speak of. */
async function* eventsOf(log: EventLog, run: string): AsyncGenerator<Event> {
  const stages = new Set<string>();
  const episodes = new Set<string>();
  for (const { event } of await log.readStream(runStream(run))) {
    if (event.payload?.$case === 'stageStarted') stages.add(event.payload.value.stage);
    yield event;
  }
  for (const stage of stages) {
    for (const { event } of await log.readStream(stageStream(run, stage))) {
      if (event.payload?.$case === 'episodesRequested') for (const { episode } of event.payload.value.episodes) episodes.add(episode);
      yield event;
    }
  }
  for (const chunk of chunksOf([...episodes])) {
    const streams = await Promise.all(chunk.map((episode) => log.readStream(episodeStream(run, episode))));
    for (const { event } of streams.flat()) yield event;
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
