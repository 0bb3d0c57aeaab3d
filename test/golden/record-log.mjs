// node test/golden/record-log.mjs FILE.sqlite.gz: a small run as this version's embedded log writes it, to be committed once a format.
// 200 turns of one episode and 40 of another, side by side.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { openEmbeddedLogs } from '../../dist/services/adapters/log/embedded.js';
import { newEvent } from '../../dist/services/runtime/new-event.js';

const RUN = 'r1';
const turn = (stream, number) => newEvent({ stream, run: RUN, claim: 'claim-1', seq: number + 1 }, {
  $case: 'turnSampled',
  value: { attempt: 1, turn: number, tokens: new Uint8Array(8).fill(number % 251), logprobs: new Uint8Array(8).fill(7), weightsHash: '', finish: 'stop', changedWeights: undefined },
});

const directory = mkdtempSync(join(tmpdir(), 'stemma-record-'));
const logs = await openEmbeddedLogs(directory);
const log = await logs.open(RUN, 'write');
for (let at = 0; at < 200; at += 8) {
  const long = Array.from({ length: 8 }, (_, index) => turn(`episode/${RUN}/e1`, at + index));
  const short = at % 40 === 0 ? Array.from({ length: 8 }, (_, index) => turn(`episode/${RUN}/e2`, at / 5 + index)) : [];
  await log.append([...long, ...short]);
}
await logs.close();
const file = join(directory, `${RUN}.sqlite`);
const db = new Database(file);
// Which machine recorded it is nobody's business.
db.exec("UPDATE writer SET pid = 1, host = 'golden', since = '2026-01-01T00:00:00.000Z'; VACUUM").close();
writeFileSync(process.argv[2], gzipSync(readFileSync(file), { level: 9 }));
rmSync(directory, { recursive: true });
