/** What the logs reach, on runs that were really made. */
import { describe, expect, it } from 'vitest';
import { runViewOf } from '../../../../core/projection/run-view.js';
import type { StoredEvent } from '../../../../core/ports.js';
import { reachedBlobs, refsIn } from '../../../../services/gc/reachable.js';
import { committedRun, committedRunNames, memoryBlobs, memoryLogs } from '../../../support/committed-run.js';

describe.each(committedRunNames())('the blobs that the committed run %s reaches', (name) => {
  const committed = committedRun(name);
  const reached = (events: StoredEvent[]) => reachedBlobs([memoryLogs(runViewOf(committed.events()).run.created!.run, events)], committed.blobs);
  const kinds = (namedBy: ReadonlyMap<string, string>): Set<string> => new Set(namedBy.values());

  it('are all that it was committed with, the weights that its stages start from and end in; its snapshots are superseded', async () => {
    const { runs, namedBy, superseded } = await reached(committed.events());
    expect(runs).toBe(1);
    expect([...committed.blobs.contents.keys()].filter((sha256) => !namedBy.has(sha256))).toEqual([]);
    const view = runViewOf(committed.events());
    const stages = [...view.stages.values()];
    const ends = [...view.run.stages.values()].flatMap(({ started, result }) => [started.parent?.weights, result?.weights]);
    const steps = [...stages.flatMap(({ snapshots }) => snapshots.map(({ snapshot }) => snapshot)), ...stages.flatMap(({ published }) => published.map(({ weights }) => weights))];
    for (const ref of ends) expect([namedBy.has(ref?.sha256 ?? ''), superseded.has(ref?.sha256 ?? '')]).toEqual([true, false]);
    for (const ref of steps) expect([namedBy, superseded].filter((names) => names.has(ref?.sha256 ?? ''))).toHaveLength(1);
    expect(superseded.size).toBeGreaterThan(0);
    expect(kinds(namedBy)).toEqual(new Set([...kinds(namedBy), 'runCreated', 'manifest', 'batchClosed', 'batch']));
  });

  it('are its snapshots too while the stage that took them is not finished', async () => {
    const { namedBy } = await reached(committed.events().filter(({ event }) => event.payload?.$case !== 'stageFinished'));
    expect(kinds(namedBy)).toContain('snapshotTaken');
  });

  it('are the score tables too where only a batch names them', async () => {
    const tables = new Set(committed.events().flatMap(({ event: { payload } }) => (payload?.$case === 'episodeScored' ? [payload.value.scores?.sha256 ?? ''] : [])));
    const { namedBy } = await reached(committed.events().filter(({ event }) => event.payload?.$case !== 'episodeScored'));
    // Scores of a reference model are copied into the batch; the teachers' are read from their tables.
    expect([...tables].filter((sha256) => namedBy.get(sha256) === 'batch').length).toBeGreaterThan(0);
  });

  it('count what a lost claim recorded', async () => {
    const events = committed.events();
    const closed = events.find(({ event }) => event.payload?.$case === 'datasetSealed');
    if (closed?.event.payload?.$case !== 'datasetSealed') throw new Error('no dataset');
    const zombie = { ...closed.event, id: 'zombie', claim: 'lost', seq: 1, payload: { $case: 'datasetSealed' as const, value: { ...closed.event.payload.value, blob: { sha256: 'a'.repeat(64), length: 1n } } } };
    expect((await reached([...events, { position: 0, event: zombie }])).namedBy.get('a'.repeat(64))).toBe('datasetSealed');
  });

  it('are unknown where a batch or the manifest cannot be read', async () => {
    const run = runViewOf(committed.events());
    for (const ref of [run.run.created?.manifest, [...run.stages.values()].flatMap(({ closed }) => closed)[0]?.batch]) {
      const contents = new Map(committed.blobs.contents);
      contents.delete(ref?.sha256 ?? '');
      await expect(reachedBlobs([memoryLogs(run.run.created!.run, committed.events())], memoryBlobs(contents))).rejects.toMatchObject({ boundary: 'blob', code: 'NOT_FOUND' });
    }
  });
});

describe('references in a value', () => {
  it('are found however deep, and nothing else is taken for one', () => {
    const ref = { sha256: 'b'.repeat(64), length: 3n };
    expect(refsIn({ deep: [{ er: ref }], json: { sha256: 'c'.repeat(64), length: '7' }, unset: { sha256: '', length: 0n }, bytes: new Uint8Array(3), text: 'sha256', none: undefined }))
      .toEqual([ref, { sha256: 'c'.repeat(64), length: 7n }]);
  });
});
