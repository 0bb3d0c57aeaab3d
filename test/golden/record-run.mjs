// A run of today's version as test/golden/runs/NAME.{events,blobs}.gz, to be read for ever: node test/golden/record-run.mjs HOME RUN NAME
// Each file: records of a u32 little-endian length and that many bytes, gzipped. Blobs: all that the events name but weights and snapshots.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openDirectoryBlobs } from '../../dist/services/adapters/blob/directory.js';
import { openEmbeddedLogs } from '../../dist/services/adapters/log/embedded.js';
import { readRun } from '../../dist/services/cli/run-reader.js';
import { Event } from '../../dist/proto/gen/stemma/v1/events.js';

const [home, run, name] = process.argv.slice(2);
const logs = await openEmbeddedLogs(join(home, 'log'));
const blobs = await openDirectoryBlobs(join(home, 'blobs'));
const { view, manifest } = await readRun({ logs, blobs }, run, 'episodes');
const log = await logs.open(run, 'read');
const streams = [`run/${run}`, ...[...view.stages.keys()].map((id) => `stage/${run}/${id}`), ...[...view.requests.keys()].map((id) => `episode/${run}/${id}`)];
const events = (await Promise.all(streams.map((stream) => log.readStream(stream)))).flat().map(({ event }) => event);
// For people only, and names a machine.
for (const { payload } of events) if (payload.$case === 'claimed') payload.value.holder = 'recorded';
const named = events.flatMap(({ payload: { value } }) => [value.manifest, value.batch, value.scores, value.blob]);
const refs = new Map([...named, manifest.tokenizer, manifest.corpus].filter((ref) => ref?.sha256).map((ref) => [ref.sha256, { sha256: ref.sha256, length: BigInt(ref.length) }]));
const contents = await Promise.all([...refs.values()].map((ref) => blobs.get(ref)));
for (const [kind, records] of [['events', events.map((event) => Event.encode(event).finish())], ['blobs', contents]]) {
  const file = join(import.meta.dirname, 'runs', `${name}.${kind}.gz`);
  const bytes = gzipSync(Buffer.concat(records.flatMap((record) => [lengthOf(record), record])), { level: 9 });
  writeFileSync(file, bytes);
  console.log(file, records.length, bytes.length, createHash('sha256').update(bytes).digest('hex').slice(0, 12));
}
await logs.close();

function lengthOf(record) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(record.length);
  return bytes;
}
