/** The claim protocol over a real log, also when it delivers late, twice and out of order across streams. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { foldStream } from '../../core/log/fold.js';
import type { EventLog } from '../../core/ports.js';
import { claimStream, claimStreams } from '../../services/runtime/claimed-stream.js';
import { newEvent } from '../../services/runtime/new-event.js';
import { readFold } from '../../services/runtime/record-fact.js';
import { faultyLog } from '../support/faulty-log.js';
import { EPISODE, historyFold, RUN, turn } from '../support/log-events.js';
import { collect } from '../support/log-reading.js';
import type { Subjects } from './event-log.cases.js';

export function claims(subject: Subjects): void {
  const spec = { stream: EPISODE, role: 'rollout' as const, run: RUN };

  it('a zombie writes and does not matter, for any reader', async () => {
    const { log, logs, reopen } = subject();
    const a = await claimStream(log, { ...spec, holder: 'A' }, historyFold);
    await a.record(turn(0, 'a'), turn(1, 'a'));
    const b = await claimStream(log, { ...spec, holder: 'B' }, historyFold);
    await a.record(turn(2, 'zombie'));
    expect(b.state).toEqual(['0:a', '1:a']);
    await b.record(turn(2, 'b'));
    await b.assertHeld();
    await expect(a.assertHeld()).rejects.toMatchObject({ code: 'CLAIM_LOST', retriable: true });
    const expected = ['0:a', '1:a', '2:b'];
    const reader = await logs.open(RUN, 'read');
    expect((await readFold(reader, EPISODE, historyFold)).state).toEqual(expected);
    const { events } = await collect(log, '', 6);
    expect(foldStream(historyFold, events.sort((x, y) => x.position - y.position)).state).toEqual(expected);
    await reopen();
    const c = await claimStream(subject().log, { ...spec, holder: 'C' }, historyFold);
    expect(c.state).toEqual(expected);
  });

  it('of two that claim at once, one goes on', async () => {
    const { log } = subject();
    const held = await Promise.all(['A', 'B', 'C'].map((holder) => claimStream(log, { ...spec, holder }, historyFold)));
    await Promise.allSettled(held.map((claim, index) => claim.record(turn(0, `${index}`))));
    const verdicts = await Promise.allSettled(held.map((claim) => claim.assertHeld()));
    const winners = held.filter((_, index) => verdicts[index]!.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    expect((await readFold(log, EPISODE, historyFold)).state).toEqual(winners[0]!.state);
  });
}

export function faults(subject: Subjects): void {
  const EPISODES = Array.from({ length: 12 }, (_, index) => `episode/${RUN}/f${index}`);

  /** Three workers, each taking over where it finds the episode; B and C fence their predecessors half-way. */
  async function play(log: EventLog): Promise<void> {
    for (const holder of ['A', 'B', 'C']) {
      const held = await claimStreams(log, EPISODES.map((stream) => ({ stream, role: 'rollout' as const, holder, run: RUN })), historyFold);
      await Promise.all(held.map(async (claim) => {
        for (let more = 0; more < 3; more += 1) await claim.record(turn(claim.state.length, 'same'));
      }));
    }
  }

  it.each([1, 2, 3])('duplicated, delayed and reordered across streams, the folds are the same (seed %i)', async (seed) => {
    const { log } = subject();
    const faulty = faultyLog(log, seed);
    await play(faulty);
    const expected = Array.from({ length: 9 }, (_, number) => `${number}:same`);
    const { events } = await collect(faulty, '', EPISODES.length * 12);
    for (const stream of EPISODES) {
      const read = await readFold(faulty, stream, historyFold);
      expect([read.state, read.gaps]).toEqual([expected, []]);
      const tailed = events.filter(({ event }) => event.stream === stream).sort((a, b) => a.position - b.position);
      expect(foldStream(historyFold, tailed).state).toEqual(expected);
    }
  });

  it('a late copy of a claim takes nothing over', async () => {
    const { log } = subject();
    const claimed = newEvent({ stream: EPISODE, run: RUN, claim: '', seq: 0 }, { $case: 'claimed', value: { role: 'rollout', claimId: randomUUID(), holder: 'A' } });
    await log.append([claimed]);
    const b = await claimStream(log, { stream: EPISODE, role: 'rollout', holder: 'B', run: RUN }, historyFold);
    await log.append([claimed]);
    await b.record(turn(0, 'b'));
    await b.assertHeld();
    expect((await readFold(log, EPISODE, historyFold)).state).toEqual(['0:b']);
  });
}
