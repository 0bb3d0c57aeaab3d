/** Collection beside a process that puts blobs and then records them, over the real embedded log, from a directory and from a real bucket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runStream, stageStream } from '../../../core/log/keys.js';
import type { BlobStore, EventLog, RunLogs } from '../../../core/ports.js';
import { Event, type BlobRef, type DeepPartial } from '../../../proto/gen/stemma/v1/events.js';
import { openEmbeddedLogs } from '../../../services/adapters/log/embedded.js';
import { collect, planCollection } from '../../../services/gc/collect.js';
import { sha256Hex } from '../../../services/runtime/canonical-json.js';
import { newEvent } from '../../../services/runtime/new-event.js';
import { openBlobs, openSweep } from '../../../services/runtime/open-blobs.js';
import { describeWithMinio, openRealMinio, type RealMinio } from '../../support/real-minio.js';

const RUN = 'live';
const STAGE = 'sft';
const DAY_MS = 86_400_000;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Place {
  readonly place: string;
  /** Puts it as if at that time. */
  putAt(bytes: Uint8Array, putAtMs: number): Promise<BlobRef>;
}

describe('collecting from a directory beside a live writer', () => {
  liveWriter((home) => {
    const place = join(home, 'blobs');
    const putAt = async (bytes: Uint8Array, putAtMs: number): Promise<BlobRef> => {
      const ref = await (await openBlobs(place)).put(bytes);
      utimesSync(join(place, ref.sha256.slice(0, 2), ref.sha256), new Date(putAtMs), new Date(putAtMs));
      return ref;
    };
    return Promise.resolve({ place, putAt });
  });
});

describeWithMinio('collecting from a bucket beside a live writer', () => {
  let minio: RealMinio;
  beforeAll(async () => { minio = await openRealMinio(); }, 90_000);
  afterAll(() => minio.stop());
  liveWriter(async () => {
    const { place, bucket } = await minio.newBucket();
    return {
      place,
      async putAt(bytes, putAtMs) {
        const ref = { sha256: sha256Hex(bytes), length: BigInt(bytes.length) };
        await minio.putAt({ Bucket: bucket.bucket, Key: `${bucket.prefix}/${ref.sha256.slice(0, 2)}/${ref.sha256}` }, bytes, putAtMs);
        return ref;
      },
    };
  });
});

function liveWriter(newPlace: (home: string) => Promise<Place>): void {
  let home: string;
  let at: Place;
  let logs: RunLogs & { close(): Promise<void> };
  let log: EventLog;
  let blobs: BlobStore;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'stemma-gc-'));
    at = await newPlace(home);
    logs = await openEmbeddedLogs(join(home, 'log'));
    log = await logs.open(RUN, 'write');
    blobs = await openBlobs(at.place);
    await tell(runStream(RUN), { $case: 'stageStarted', value: { stage: STAGE, kind: 'sft' } });
  });
  afterAll(async () => {
    await log.close();
    await logs.close();
    await rm(home, { recursive: true, force: true });
  });

  async function tell(stream: string, payload: DeepPartial<Event>['payload']): Promise<void> {
    await log.append([newEvent({ stream, run: RUN, claim: '', seq: 0 }, Event.fromPartial({ payload } as DeepPartial<Event>).payload!)]);
  }

  const putOld = (text: string): Promise<BlobRef> => at.putAt(bytesOf(text), Date.now() - 3 * DAY_MS);

  async function collectOnce(): Promise<void> {
    const sweep = await openSweep(at.place);
    const reader = await openEmbeddedLogs(join(home, 'log'));
    try {
      await collect(sweep, await planCollection({ logs: [reader], blobs, sweep, beforeMs: Date.now() - DAY_MS, unknownRuns: false, retention: null }));
    } finally {
      await reader.close();
      await sweep.close();
    }
  }

  it('takes old garbage and nothing that is named, put again, or young', async () => {
    // A third is named by nobody, a third was named long ago, a third is garbage that is put again and then named.
    const texts = Array.from({ length: 150 }, (_, index) => `weights of step ${index}`);
    const refs = await Promise.all(texts.map(putOld));
    const kept = (index: number): boolean => index % 3 !== 0;
    for (const [index, weights] of refs.entries()) {
      if (index % 3 === 1) await tell(stageStream(RUN, STAGE), { $case: 'policyPublished', value: { step: index, weightsHash: 'w', weights } });
    }
    let writing = true;
    let collections = 0;
    const writer = (async () => {
      for (const [index, text] of texts.entries()) {
        if (index % 3 !== 2) continue;
        const weights = await blobs.put(bytesOf(text));
        // A collection may come between the put and the event that names it.
        const before = collections;
        while (index % 10 === 0 && collections < before + 2) await nextTick();
        await tell(stageStream(RUN, STAGE), { $case: 'policyPublished', value: { step: index, weightsHash: 'w', weights } });
        await blobs.get(weights);
      }
    })().finally(() => { writing = false; });
    while (writing) {
      await collectOnce();
      collections += 1;
    }
    await writer;
    const unnamed = await blobs.put(bytesOf('put, not named yet'));
    await collectOnce();
    expect(collections).toBeGreaterThanOrEqual(10);
    const there = await Promise.all(refs.map((ref) => blobs.has(ref)));
    expect(there).toEqual(refs.map((_, index) => kept(index)));
    expect(await blobs.has(unnamed)).toBe(true);
  }, 60_000);

  it('refuses while the store holds the manifest of a run that the logs do not know', async () => {
    const manifest = await putOld(JSON.stringify({ recipe: {}, tokenizer: {}, baseWeights: {}, seed: '1' }));
    await expect(collectOnce()).rejects.toMatchObject({ boundary: 'blob', code: 'INVALID', message: expect.stringContaining(manifest.sha256), remedy: expect.stringContaining('--unknown-runs') });
    expect(await blobs.has(manifest)).toBe(true);
  });
}
