/**
 * A rollout worker loses its network while an append of its is on the way, its episodes go to another, and then the append arrives.
 * Attempts differ in the tokens they sample here, so that a late turn that counted could be told from the one that does.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { episodeFold } from '../../core/episode/episode.js';
import { foldStream } from '../../core/log/fold.js';
import type { StoredEvent } from '../../core/ports.js';
import { describeWithKafka } from '../support/real-kafka.js';
import { describeWithCompiler } from './harness/compiler.js';
import { openDistributed } from './harness/distributed.js';
import { OracleReader, type AttemptedLine } from './harness/oracle.js';
import { when } from './harness/processes.js';
import { CLEAR, HELD } from './harness/proxy.js';
import { writeShortRecipe } from './harness/recipes.js';
import { verdictOf } from './harness/run-plan.js';
import type { System } from './harness/system.js';

const WORKERS = ['rollout-1', 'rollout-2'] as const;
const PATIENCE_MS = 240_000;

describeWithCompiler('a rollout worker that lost its network', () => describeWithKafka('over a broker', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stemma-recipe-'));
  let system: System;
  let oracle: OracleReader;
  beforeAll(async () => {
    const { file, run } = writeShortRecipe(folder);
    system = await openDistributed({ recipe: file, run, seed: 1, settings: { seed: 0, patches: ['oracle', 'proxied', 'sampling differs'] } });
    oracle = new OracleReader(system.trial.oracleFile);
    await system.start();
  });
  afterAll(async () => {
    await system.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('comes back, and what it had sent arrives late, is in the log and changes nothing', async () => {
    const until = AbortSignal.timeout(PATIENCE_MS);
    const { worker, late } = await cutOff(until);
    const { stream } = late;
    await when(`nobody else went on with ${stream}`, until, () => oracle.read().some((line) => line.line === 'attempted' && line.stream === stream
      && line.type === late.type && line.id !== late.id && oracle.acknowledged.has(line.id)));
    expect(oracle.acknowledged.has(late.id)).toBe(false);
    for (const link of system.links(worker)) link.mode = CLEAR;
    expect(await system.ended(), system.lastWords()).toBe(true);

    const stored = await streamOf(stream);
    const at = stored.findIndex(({ event }) => event.id === late.id);
    expect(at, `${late.id} never arrived`).toBeGreaterThanOrEqual(0);
    const [other] = stored.filter(({ event }) => event.payload?.$case === late.type && event.id !== late.id && keyOf(event.id) === late.key);
    expect(other, `nobody else recorded ${late.key}`).toBeDefined();
    // It is behind what others recorded, and says something else.
    expect(other!.position).toBeLessThan(at);
    expect(isDeepStrictEqual(other!.event.payload, stored[at]!.event.payload)).toBe(false);
    const without = stored.filter(({ event }) => event.id !== late.id).map(({ event }, position) => ({ event, position }));
    expect(foldStream(episodeFold, stored).state).toEqual(foldStream(episodeFold, without).state);

    expect(await verdictOf(system, oracle)).toMatchObject({ lost: [], duplicated: [], mislabelled: [], ledger: [], replay: 'IDENTICAL' });
  }, 2 * PATIENCE_MS);

  const keyOf = (id: string): string | undefined => oracle.read().flatMap((line) => (line.line === 'attempted' && line.id === id ? [line.key] : []))[0];

  /** Holds the network of whichever worker sends a turn to the broker next, from that turn's bytes on: none of them has arrived. */
  async function cutOff(until: AbortSignal): Promise<{ worker: string; late: AttemptedLine }> {
    const sent = new Map<string, AttemptedLine>();
    for (const worker of WORKERS) {
      // What is attempted is in the oracle's file before it is sent, and carries its id as text.
      const holdFrom = (chunk: Buffer): boolean => {
        const late = sent.size === 0 && unanswered(worker).find(({ type, id }) => type === 'turnSampled' && chunk.includes(id));
        if (!late) return false;
        sent.set(worker, late);
        for (const link of system.links(worker)) link.mode = HELD;
        return true;
      };
      const [, broker] = system.links(worker);
      broker!.mode = { ...CLEAR, holdFrom };
    }
    await when('nobody sends a turn', until, () => sent.size > 0);
    const [[worker, late]] = [...sent] as [[string, AttemptedLine]];
    for (const other of WORKERS.filter((each) => each !== worker)) for (const link of system.links(other)) link.mode = CLEAR;
    return { worker, late };
  }

  const unanswered = (worker: string): readonly AttemptedLine[] => oracle.unanswered(system.pid(worker) ?? 0);

  async function streamOf(stream: string): Promise<readonly StoredEvent[]> {
    const logs = await system.logs();
    try {
      const log = await logs.open(system.run, 'read');
      return await log.readStream(stream);
    } finally {
      await logs.close();
    }
  }
}));
