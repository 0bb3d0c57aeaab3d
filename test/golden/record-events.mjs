// One event of each payload as bytes and as what they mean, to be read for ever: node test/golden/record-events.mjs VERSION
// Taken from the committed run of that version; what did not happen in it is made by hand here. Run once a version; never again for an old one.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Event } from '../../dist/proto/gen/stemma/v1/events.js';

const [version] = process.argv.slice(2);
const bytes = gunzipSync(readFileSync(join(import.meta.dirname, 'runs', `${version}.events.gz`)));
const found = new Map();
for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32LE(at)) {
  const event = Event.decode(new Uint8Array(bytes.subarray(at + 4, at + 4 + bytes.readUInt32LE(at))));
  if (event.payload && !found.has(event.payload.$case)) found.set(event.payload.$case, event);
}
const byHand = {
  runPaused: { updateId: 'u1', by: 'ada' }, runResumed: { updateId: 'u2', by: 'ada' }, runStopRequested: { updateId: 'u3', by: 'ada' },
  runFailed: { code: 'EXHAUSTED', boundary: 'environment', message: 'no group has two valid episodes' }, runStopped: { reason: 'stop was requested' },
  attemptAborted: { attempt: 1, reason: 'the sampler went away' }, scoreFailed: { purpose: 'teacher', scorerWeightsHash: 'ab12', reason: 'refused' },
  episodeDropped: { episode: 'rl.1.0.0.0', reason: 'surplus' }, settingAmended: { updateId: 'u4', by: 'ada', stage: 'distill', fromStep: 3, path: 'sva.topK', valueJson: '32' },
};
for (const [type, value] of Object.entries(byHand)) {
  if (!found.has(type)) found.set(type, Event.fromPartial({ id: '0123456789abcdef0123456789abcdef', stream: 'run/r', correlationId: 'r', schemaVersion: 1, recordedAtMs: 1n, payload: { $case: type, value } }));
}
const golden = Object.fromEntries([...found].sort().map(([type, event]) => [type, { bytes: Buffer.from(Event.encode(event).finish()).toString('base64'), event: Event.toJSON(event) }]));
writeFileSync(join(import.meta.dirname, 'events', `${version}.json`), `${JSON.stringify(golden, null, 1)}\n`);
console.log(Object.keys(golden).length, 'payloads');
