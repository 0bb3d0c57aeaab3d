// node append-until-killed.mjs DIRECTORY RUN ROUND: appends from eight callers for ever and writes each acknowledged
// event id as a line on stdout, synchronously, so that what a reader of the pipe has seen was acknowledged.
import { writeSync } from 'node:fs';
import { openEmbeddedLogs } from '../../dist/services/adapters/log/embedded.js';
import { newEvent } from '../../dist/services/runtime/new-event.js';

const [directory, run, round] = process.argv.slice(2);
const logs = await openEmbeddedLogs(directory);
const log = await logs.open(run, 'write');
writeSync(1, 'open\n');

async function caller(name) {
  const claim = `${name}-${round}`;
  for (let turn = 0; ; turn += 2) {
    const events = [turn, turn + 1].map((number) => newEvent({ stream: `episode/${run}/${name}`, run, claim, seq: number + 1 }, {
      $case: 'turnSampled',
      value: { attempt: 1, turn: number, tokens: new Uint8Array(200), logprobs: new Uint8Array(200), weightsHash: '', finish: 'stop' },
    }));
    await log.append(events);
    writeSync(1, events.map((event) => `${event.id}\n`).join(''));
  }
}

await Promise.all(Array.from({ length: 8 }, (_, index) => caller(`caller-${index}`)));
