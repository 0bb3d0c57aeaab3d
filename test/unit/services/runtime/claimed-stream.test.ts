import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StemmaError } from '../../../../core/errors.js';
import { foldStream } from '../../../../core/log/fold.js';
import { runStream } from '../../../../core/log/keys.js';
import type { EventLog } from '../../../../core/ports.js';
import { claimStream, claimStreams, type ClaimSpec } from '../../../../services/runtime/claimed-stream.js';
import { readFold, recordFact } from '../../../../services/runtime/record-fact.js';
import { claimEvent, EPISODE, historyFold, RUN, turn } from '../../../support/log-events.js';
import { rawLog, stored } from '../../../support/raw-log.js';

const SPEC: ClaimSpec = { stream: EPISODE, role: 'rollout', holder: 'worker 1', run: RUN };
const seqs = (log: ReturnType<typeof rawLog>) => log.streams.get(EPISODE)!.map((event) => event.seq);

describe('a claimed stream', () => {
  it('starts from what counted before it and evolves with what it records', async () => {
    const log = rawLog();
    const first = await claimStream(log, SPEC, historyFold);
    await first.record(turn(0, 'a'), turn(1, 'a'));
    const second = await claimStream(log, SPEC, historyFold);
    expect(second.state).toEqual(['0:a', '1:a']);
    await second.record(turn(2, 'b'));
    expect(second.state).toEqual(['0:a', '1:a', '2:b']);
    expect(seqs(log)).toEqual([0, 1, 2, 0, 1]);
    await second.assertHeld();
  });

  it('is told of a newer claim when it reads back, and writes no more', async () => {
    const log = rawLog();
    const first = await claimStream(log, SPEC, historyFold);
    const second = await claimStream(log, { ...SPEC, holder: 'worker 2' }, historyFold);
    await first.record(turn(0, 'zombie'));
    await expect(first.assertHeld()).rejects.toMatchObject({ code: 'CLAIM_LOST', message: expect.stringContaining('worker 2') });
    await expect(first.record(turn(1))).rejects.toMatchObject({ code: 'CLAIM_LOST' });
    await second.record(turn(0, 'b'));
    expect((await readFold(log, EPISODE, historyFold)).state).toEqual(['0:b']);
  });

  it('told where its facts stand, reads back only what others wrote, and a newer claim among them', async () => {
    const log = rawLog();
    const from: number[] = [];
    const telling: EventLog = {
      ...log,
      async append(events) {
        return events.map((event) => { log.land(event); return log.streams.get(event.stream)!.length - 1; });
      },
      readStream(stream, position = 0) { from.push(position); return log.readStream(stream, position); },
    };
    const held = await claimStream(telling, SPEC, historyFold);
    await held.record(turn(0), turn(1));
    await held.assertHeld();
    log.land(claimEvent(EPISODE, 'S', 'scorer'));
    await held.record(turn(2));
    await held.assertHeld();
    await held.record(turn(3));
    log.land(claimEvent(EPISODE, 'B'));
    await held.record(turn(4));
    await expect(held.assertHeld()).rejects.toMatchObject({ code: 'CLAIM_LOST' });
    expect(from).toEqual([0, 3, 3, 6]);
  });

  it('is not fooled by a copy of its own claim delivered behind the newer one', async () => {
    const log = rawLog();
    const first = await claimStream(log, SPEC, historyFold);
    await claimStream(log, SPEC, historyFold);
    log.land(log.streams.get(EPISODE)![0]!);
    await expect(first.assertHeld()).rejects.toMatchObject({ code: 'CLAIM_LOST' });
  });

  it('does not mind a copy of an older claim', async () => {
    const log = rawLog();
    await claimStream(log, SPEC, historyFold);
    const second = await claimStream(log, SPEC, historyFold);
    log.land(log.streams.get(EPISODE)![0]!);
    await second.assertHeld();
  });

  it('does not mind other roles', async () => {
    const log = rawLog();
    const held = await claimStream(log, SPEC, historyFold);
    await claimStream(log, { ...SPEC, role: 'scorer' }, historyFold);
    await held.assertHeld();
  });

  it('knows at its first call when it was lost before it read', async () => {
    const log = rawLog();
    const overtaken: EventLog = { ...log, readStream: (stream) => { log.land(claimEvent(stream, 'B')); return log.readStream(stream); } };
    const held = await claimStream(overtaken, SPEC, historyFold);
    await expect(held.record(turn(0))).rejects.toMatchObject({ code: 'CLAIM_LOST' });
  });

  it('records one after another, in the order of the calls', async () => {
    const log = rawLog();
    let inFlight = 0;
    const strict: EventLog = {
      ...log,
      async append(events) {
        inFlight += 1;
        expect(inFlight).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        await log.append(events);
        inFlight -= 1;
      },
    };
    const held = await claimStream(strict, SPEC, historyFold);
    await Promise.all([0, 1, 2, 3].map((number) => held.record(turn(number, 'a'))));
    expect(held.state).toEqual(['0:a', '1:a', '2:a', '3:a']);
    expect(seqs(log)).toEqual([0, 1, 2, 3, 4]);
  });

  it('records a fact once, however often it is called', async () => {
    const log = rawLog();
    const held = await claimStream(log, SPEC, historyFold);
    await held.record(turn(0, 'a'), turn(0, 'a'));
    await held.record(turn(0, 'a'), turn(1, 'a'));
    expect(held.state).toEqual(['0:a', '1:a']);
    const read = await readFold(log, EPISODE, historyFold);
    expect(read.state).toEqual(['0:a', '1:a']);
    expect(read.gaps).toEqual([]);
  });

  it.each(['nothing landed', 'it landed'])('goes on without a gap after a failed append of which %s', async (what) => {
    const log = rawLog();
    let failing = false;
    const flaky: EventLog = {
      ...log,
      async append(events) {
        if (!failing || what === 'it landed') await log.append(events);
        if (failing) throw new StemmaError('log', 'TIMEOUT', 'no answer', 'Try again.');
      },
    };
    const held = await claimStream(flaky, SPEC, historyFold);
    failing = true;
    await expect(held.record(turn(0, 'a'))).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(held.state).toEqual([]);
    failing = false;
    await expect(held.record(turn(1, 'a'))).rejects.toMatchObject({ code: 'INVALID' });
    await expect(held.record(turn(0, 'altered'))).rejects.toMatchObject({ code: 'INVALID' });
    await held.record(turn(0, 'a'));
    await held.record(turn(1, 'a'));
    const read = await readFold(log, EPISODE, historyFold);
    expect([held.state, read.state, read.gaps]).toEqual([['0:a', '1:a'], ['0:a', '1:a'], []]);
  });

  it('refuses what its role does not write', async () => {
    const held = await claimStream(rawLog(), SPEC, historyFold);
    await expect(held.record({ $case: 'scoreFailed', value: { purpose: '', scorerWeightsHash: '', reason: '' } })).rejects.toMatchObject({ code: 'INVALID' });
  });

  it('is refused on a stream that lost facts', async () => {
    const log = rawLog();
    const held = await claimStream(log, SPEC, historyFold);
    await held.record(turn(0), turn(1));
    const cut: EventLog = { ...log, readStream: async (s) => (await log.readStream(s)).filter(({ event }) => event.seq !== 1) };
    await expect(claimStream(cut, SPEC, historyFold)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('lost facts') });
  });

  it('claims many streams with one append', async () => {
    const log = rawLog();
    const appends: number[] = [];
    const counted: EventLog = { ...log, append: (events) => { appends.push(events.length); return log.append(events); } };
    const claims = await claimStreams(counted, ['e1', 'e2', 'e3'].map((e) => ({ ...SPEC, stream: `episode/${RUN}/${e}` })), historyFold);
    expect(appends).toEqual([3]);
    await Promise.all(claims.map((claim) => claim.assertHeld()));
  });
});

describe('recordFact', () => {
  it('refuses what a claim must write', async () => {
    await expect(recordFact(rawLog(), { stream: EPISODE, run: RUN }, turn(0))).rejects.toMatchObject({ code: 'INVALID' });
  });

  it('writes control facts', async () => {
    const log = rawLog();
    await recordFact(log, { stream: runStream(RUN), run: RUN }, { $case: 'runPaused', value: { updateId: 'u1', by: 'me', origin: '' } });
    expect(log.streams.get(runStream(RUN))).toHaveLength(1);
  });
});

const TURNS = 4;

/**
 * A network under fast-check's scheduler: every append and read waits for its turn; an append may time out and land now,
 * later or never; what landed may land again later.
 */
function unreliable(s: fc.Scheduler, fates: readonly number[]): { log: EventLog; settled: ReturnType<typeof rawLog> } {
  const raw = rawLog();
  let drawn = 0;
  const later = (what: string, run: () => void): void => { void s.schedule(Promise.resolve(), what).then(run); };
  const timeout = (): never => { throw new StemmaError('log', 'TIMEOUT', 'no answer', 'Try again.'); };
  return {
    settled: raw,
    log: {
      ...raw,
      async append(events) {
        await s.schedule(Promise.resolve(), 'append');
        const fate = fates[drawn % fates.length] ?? 0;
        drawn += 1;
        if (fate === 1) timeout();
        if (fate === 2) { later('land late', () => events.forEach(raw.land)); timeout(); }
        await raw.append(events);
        if (fate === 3) timeout();
        if (fate === 4) later('land again', () => events.forEach(raw.land));
      },
      async readStream(stream, from) {
        await s.schedule(Promise.resolve(), 'read');
        return raw.readStream(stream, from);
      },
    },
  };
}

/** Sends the same fact again once, as a caller may whose append timed out. */
async function stubbornly(record: () => Promise<void>): Promise<void> {
  await record().catch((error: unknown) => {
    if (error instanceof StemmaError && error.code === 'TIMEOUT') return record();
    throw error;
  });
}

/** Each turn carries the whole history its writer acted on. Claims anew when told to; gives up after some attempts. */
async function worker(log: EventLog, holder: string, reported: string[][]): Promise<void> {
  for (let attempt = 0; attempt < 6; attempt += 1) {
    try {
      const held = await claimStream(log, { ...SPEC, holder }, historyFold);
      while (held.state.length < TURNS) {
        const next = turn(held.state.length, `${holder}${attempt}<${held.state.join()}>`);
        await stubbornly(() => held.record(next));
      }
      await held.assertHeld();
      reported.push([...held.state]);
      return;
    } catch (error) {
      if (!(error instanceof StemmaError && error.retriable)) throw error;
    }
  }
}

/** Histories in which every turn was decided on exactly the turns before it. */
function isLinear(history: readonly string[]): boolean {
  return history.every((entry, index) => entry.startsWith(`${index}:`) && entry.endsWith(`<${history.slice(0, index).join()}>`));
}

describe('two or three writers on an unreliable network', () => {
  const run = (check: (outcome: { settled: ReturnType<typeof rawLog>; reported: string[][] }) => void) =>
    fc.asyncProperty(fc.scheduler(), fc.integer({ min: 2, max: 3 }), fc.array(fc.nat(4), { minLength: 1, maxLength: 30 }), async (s, writers, fates) => {
      const { log, settled } = unreliable(s, fates);
      const reported: string[][] = [];
      const all = Promise.all(Array.from({ length: writers }, (_, index) => worker(log, 'ABC'[index]!, reported)));
      await s.waitFor(all);
      await s.waitIdle();
      check({ settled, reported });
    });

  it('make one history for every reader, each turn decided on the turns before it', async () => {
    await fc.assert(run(({ settled, reported }) => {
      const events = settled.streams.get(EPISODE) ?? [];
      for (let length = 0; length <= events.length; length += 1) {
        const folded = foldStream(historyFold, stored(events.slice(0, length)));
        expect(isLinear(folded.state)).toBe(true);
        expect(folded.gaps).toEqual([]);
      }
      // What was reported done after reading back is what everybody reads, for ever.
      const { state } = foldStream(historyFold, stored(events));
      for (const history of reported) expect(state).toEqual(history);
    }), { numRuns: 500 });
  });

  it('would not, if the fold ignored claims', async () => {
    const broken = run(({ settled }) => {
      const turns = new Map((settled.streams.get(EPISODE) ?? []).map((event) => [event.id, event]));
      let state = historyFold.initial();
      for (const event of turns.values()) state = historyFold.evolve(state, event.payload!, event);
      expect(isLinear(state)).toBe(true);
    });
    expect((await fc.check(broken, { numRuns: 500 })).failed).toBe(true);
  });
});
