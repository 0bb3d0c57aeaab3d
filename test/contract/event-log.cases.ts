/** What every EventLog keeps. An adapter is held to it by `eventLogContract(name, createHarness)`. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventLog, RunLogs } from '../../core/ports.js';
import { EPISODE, RUN } from '../support/log-events.js';
import { turns } from '../support/log-reading.js';
import { appends, duplicates } from './event-log-append.cases.js';
import { claims, faults } from './event-log-claims.cases.js';
import { tails } from './event-log-tail.cases.js';

export type OpenedLogs = RunLogs & { close(): Promise<void> };

/** Storage of one test: empty at first; what was opened from it is closed before it is opened again. */
export interface LogHarness {
  open(): Promise<OpenedLogs>;
  dispose(): Promise<void>;
}

/** What a case works on; `reopen` replaces both. */
export interface Subject {
  readonly log: EventLog;
  readonly logs: RunLogs;
  reopen(): Promise<void>;
}
export type Subjects = () => Subject;

export function eventLogContract(name: string, createHarness: () => Promise<LogHarness>): void {
  describe(`event log: ${name}`, () => {
    let harness: LogHarness;
    let logs: OpenedLogs;
    let log: EventLog;

    beforeEach(async () => {
      harness = await createHarness();
      logs = await harness.open();
      log = await logs.open(RUN, 'write');
    });
    afterEach(async () => {
      await logs.close();
      await harness.dispose();
    });
    const reopen = async (): Promise<void> => {
      await logs.close();
      logs = await harness.open();
      log = await logs.open(RUN, 'write');
    };
    const subject = (): Subject => ({ log, logs, reopen });

    describe('append and readStream', () => appends(subject));
    describe('duplicates', () => duplicates(subject));
    describe('tail', () => tails(subject));
    describe('claims', () => claims(subject));
    describe('runs', () => runs(subject));
    describe('under faults', () => faults(subject));
  });
}

function runs(subject: Subjects): void {
  it('are logs apart, listed newest first', async () => {
    const { log, logs } = subject();
    await log.append(turns(EPISODE, 0, 1));
    const second = await logs.open('r0', 'write');
    await second.append(turns(EPISODE, 5, 7));
    expect(await log.readStream(EPISODE)).toHaveLength(1);
    expect(await second.readStream(EPISODE)).toHaveLength(2);
    expect(await logs.list()).toEqual(['r0', RUN]);
  });

  it('are not created by reading, and a reader cannot write', async () => {
    const { logs } = subject();
    await expect(logs.open('nowhere', 'read')).rejects.toMatchObject({ boundary: 'log', code: 'NOT_FOUND', message: expect.stringContaining('nowhere') });
    expect(await logs.list()).toEqual([RUN]);
    const reader = await logs.open(RUN, 'read');
    await expect(reader.append(turns(EPISODE, 0, 1))).rejects.toMatchObject({ code: 'INVALID' });
  });

  it('have ids that can be names', async () => {
    for (const run of ['', '../r1', 'a/b', '.hidden', 'a b']) {
      await expect(subject().logs.open(run, 'write')).rejects.toMatchObject({ code: 'INVALID' });
    }
  });

  it('may be opened more than once by one process; the log closes with its last handle', async () => {
    const { log, logs } = subject();
    const again = await logs.open(RUN, 'write');
    await log.close();
    await again.append(turns(EPISODE, 0, 1));
    await again.close();
    const later = await logs.open(RUN, 'write');
    expect(await later.readStream(EPISODE)).toHaveLength(1);
  });

  it('commit what was asked before closing', async () => {
    const { log, reopen } = subject();
    const asked = [0, 1, 2].map((number) => log.append(turns(EPISODE, number, number + 1)));
    await reopen();
    await Promise.all(asked);
    expect(await subject().log.readStream(EPISODE)).toHaveLength(3);
  });
}
