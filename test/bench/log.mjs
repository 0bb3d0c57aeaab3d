// npm run bench:log [-- --events 1000000]
// The embedded log beside bare SQLite, folding, and opening a long run for recovery. Medians of alternating repetitions.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import Database from 'better-sqlite3';
import { episodeFold } from '../../dist/core/episode/episode.js';
import { foldStream } from '../../dist/core/log/fold.js';
import { stageFold } from '../../dist/core/stage/stage.js';
import { Event } from '../../dist/proto/gen/stemma/v1/events.js';
import { openEmbeddedLogs } from '../../dist/services/adapters/log/embedded.js';
import { createSchema, decodeEvent, makeDurable } from '../../dist/services/adapters/log/embedded-file.js';
import { ENTRY_EVENTS, entryRow, firstWord, newEntry, setEntry } from '../../dist/services/adapters/log/embedded-entry.js';
import { claimStream } from '../../dist/services/runtime/claimed-stream.js';
import { readFold } from '../../dist/services/runtime/record-fact.js';
import { followRun } from '../../dist/services/runtime/run-follower.js';
import { newEvent } from '../../dist/services/runtime/new-event.js';
import { runFold } from '../../dist/core/run/run.js';
import { claimOf, episodeEvents, median, RUN, stepEvents } from './events.mjs';

const option = (name, or) => { const at = process.argv.indexOf(name); return at < 0 ? or : Number(process.argv[at + 1]); };
const REPETITIONS = option('--repetitions', 5);
const LONG = option('--events', 1_000_000);
const BATCH = 5_000;
const scratch = mkdtempSync(join(tmpdir(), 'stemma-bench-'));
const seconds = (since) => (performance.now() - since) / 1000;
const rate = (value) => `${Math.round(value / 1000)} k/s`;

try {
  await appending();
  await folding();
  for (const events of [LONG / 100, LONG / 10, LONG]) await recovery(events);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** The same events, the same tables, the same events a commit; bare SQLite is given finished rows, and looks for no duplicates. */
async function appending() {
  const episodes = Array.from({ length: 2_000 }, (_, index) => episodeEvents(`e${index}`, 24));
  // Episodes side by side, as workers write them.
  const events = Array.from({ length: episodes[0].length }, (_, at) => episodes.map((episode) => episode[at])).flat();
  const rows = rowsOf(events);
  const commits = commitsOf(rows);
  const results = { embedded: [], bare: [] };
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    results.bare.push(events.length / bareAppend(commits, repetition));
    results.embedded.push(events.length / await embeddedAppend(events, repetition));
  }
  const bytes = rows.reduce((sum, row) => sum + row.event.length, 0) / rows.length;
  const [embedded, bare] = [median(results.embedded), median(results.bare)];
  console.log(`append: ${events.length} events of ${Math.round(bytes)} bytes, ${BATCH} a commit, ${REPETITIONS} alternating repetitions`);
  console.log(`  bare SQLite  ${rate(bare)}   (${results.bare.map(rate).join(', ')})`);
  console.log(`  embedded log ${rate(embedded)}   (${results.embedded.map(rate).join(', ')})`);
  console.log(`  ratio of medians ${(embedded / bare).toFixed(2)}; of pairs ${results.embedded.map((value, i) => (value / results.bare[i]).toFixed(2)).join(', ')}`);
}

function rowsOf(events) {
  const streams = new Map();
  return events.map((event, at) => {
    const stream = streams.get(event.stream) ?? { id: streams.size + 1, next: 0, last: 0, entry: newEntry() };
    streams.set(event.stream, stream);
    const bytes = Event.encode(event).finish();
    const cursor = at + 1;
    const row = { name: event.stream, stream: stream.id, position: stream.next++, id: Buffer.from(event.id, 'hex'), crc: crc32(bytes), previous: stream.last, event: bytes, entry: null };
    setEntry(stream.entry, row.position % ENTRY_EVENTS, cursor, firstWord(row.id));
    stream.last = cursor;
    if (stream.next % ENTRY_EVENTS === 0) row.entry = entryRow(stream.entry, stream.next - ENTRY_EVENTS);
    return row;
  });
}

/** Rows of one commit, and where it leaves each stream that it touches. */
function commitsOf(rows) {
  return Array.from({ length: Math.ceil(rows.length / BATCH) }, (_, number) => {
    const batch = rows.slice(number * BATCH, (number + 1) * BATCH);
    const heads = new Map(batch.map((row, index) => [row.stream, { stream: row.stream, last: number * BATCH + index + 1, count: row.position + 1 }]));
    return { batch, heads: [...heads.values()] };
  });
}

function bareAppend(commits, repetition) {
  const file = join(scratch, `bare-${repetition}.sqlite`);
  const db = new Database(file);
  makeDurable(db);
  db.pragma('cache_size = -65536');
  db.pragma('wal_autocheckpoint = 4000');
  createSchema(db, file);
  const addStream = db.prepare('INSERT INTO streams(id, name) VALUES (?, ?)');
  const insert = db.prepare('INSERT INTO events(stream, position, id, crc, previous, event) VALUES (?, ?, ?, ?, ?, ?)');
  const addEntry = db.prepare('INSERT INTO entries(stream, first, crc, body) VALUES (?, ?, ?, ?)');
  const setHead = db.prepare('INSERT OR REPLACE INTO heads(stream, last, count) VALUES (?, ?, ?)');
  const commit = db.transaction(({ batch, heads }) => {
    for (const row of batch) {
      if (row.position === 0) addStream.run(row.stream, row.name);
      insert.run(row.stream, row.position, row.id, row.crc, row.previous, row.event);
      if (row.entry) addEntry.run(row.stream, row.entry.first, row.entry.crc, row.entry.body);
    }
    for (const head of heads) setHead.run(head.stream, head.last, head.count);
  });
  const started = performance.now();
  for (const each of commits) commit(each);
  const took = seconds(started);
  db.close();
  rmSync(file);
  return took;
}

async function embeddedAppend(events, repetition) {
  const directory = join(scratch, `embedded-${repetition}`);
  const logs = await openEmbeddedLogs(directory);
  const log = await logs.open(RUN, 'write');
  const started = performance.now();
  let before = Promise.resolve();
  for (let from = 0; from < events.length; from += BATCH) {
    const now = log.append(events.slice(from, from + BATCH));
    // Two in flight: one is encoded while the other is committed.
    await before;
    before = now;
  }
  await before;
  const took = seconds(started);
  await logs.close();
  rmSync(directory, { recursive: true });
  return took;
}

async function folding() {
  for (const turns of [24, 100]) {
    const streams = Array.from({ length: Math.round(100_000 / turns) }, (_, index) => episodeEvents(`f${index}`, turns).map((event, position) => ({ event, position })));
    const total = streams.reduce((sum, stream) => sum + stream.length, 0);
    const rates = Array.from({ length: REPETITIONS }, () => {
      const started = performance.now();
      for (const stream of streams) foldStream(episodeFold, stream);
      return total / seconds(started);
    });
    const encoded = streams.map((stream) => stream.map(({ event }) => Event.encode(event).finish()));
    const decoding = Array.from({ length: REPETITIONS }, () => {
      const started = performance.now();
      encoded.forEach((stream) => foldStream(episodeFold, stream.map((bytes, position) => ({ event: decodeEvent(bytes), position }))));
      return total / seconds(started);
    });
    console.log(`fold, ${turns} turns an episode: decoded events ${rate(median(rates))}, from bytes ${rate(median(decoding))}`);
  }
}

/** A run of that many events in one stage, 64 episodes of 24 turns a step; then everything a restarted planner and a watcher read. */
async function recovery(wanted) {
  const directory = join(scratch, `long-${wanted}`);
  const written = await writeRun(directory, wanted);
  const heapBefore = heapMb();
  const started = performance.now();
  const logs = await openEmbeddedLogs(directory);
  const log = await logs.open(RUN, 'write');
  const opened = seconds(started);
  const run = await readFold(log, `run/${RUN}`, runFold);
  const stage = await claimStream(log, { stream: `stage/${RUN}/rl`, role: 'planner', holder: 'bench', run: RUN }, stageFold);
  const claimed = seconds(started);
  const follower = followRun(log, RUN);
  await follower.look();
  const ready = seconds(started);
  const heap = heapMb() - heapBefore;
  const disk = await readAll(log, written.streams);
  console.log(`recovery of ${written.events} events, ${stage.state.committed.length} steps, ${(statSync(join(directory, `${RUN}.sqlite`)).size / 2 ** 20).toFixed(0)} MiB: open ${opened.toFixed(2)} s, `
    + `run and stage folded under a claim at ${claimed.toFixed(2)} s, read models ready at ${ready.toFixed(2)} s; heap +${heap.toFixed(1)} MiB (${run.state.stages.size} stage); episodes folded from disk ${rate(disk)}`);
  await logs.close();
  rmSync(directory, { recursive: true });
}

async function readAll(log, streams) {
  const started = performance.now();
  let events = 0;
  for (const stream of streams.slice(0, 4_000)) events += (await readFold(log, stream, episodeFold)).nextPosition;
  return events / seconds(started);
}

function heapMb() {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

async function writeRun(directory, wanted) {
  const logs = await openEmbeddedLogs(directory);
  const log = await logs.open(RUN, 'write');
  await log.append([
    newEvent({ stream: `run/${RUN}`, run: RUN, claim: '', seq: 0 }, { $case: 'runCreated', value: { run: RUN, recipe: 'bench', seed: 1n, manifest: undefined, settingsHash: '' } }),
    newEvent({ stream: `run/${RUN}`, run: RUN, claim: '', seq: 0 }, { $case: 'stageStarted', value: { stage: 'rl', kind: 'rl', parent: undefined, settingsHash: '' } }),
    claimOf('rl', 'planner-1'),
  ]);
  let count = 3;
  let before = Promise.resolve();
  const streams = [];
  for (let step = 1; count < wanted; step += 1) {
    const names = Array.from({ length: 64 }, (_, index) => `rl.${step}.0.${index >> 3}.${index & 7}`);
    const events = [...names.flatMap((name) => episodeEvents(name, 24)), ...stepEvents('rl', 'planner-1', step, names)];
    streams.push(...names.map((name) => `episode/${RUN}/${name}`));
    count += events.length;
    const now = log.append(events);
    await before;
    before = now;
  }
  await before;
  await logs.close();
  return { events: count, streams };
}
