/** Where a run stands, read from its log beside the writer: for faults that must fall inside a stage. */
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { runStream, stageStream, type Payload } from '../../core/log/keys.js';
import { runFold, type RunState } from '../../core/run/run.js';
import { stageFold, type StageState } from '../../core/stage/stage.js';
import { StemmaError } from '../../core/errors.js';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { readFold } from '../../services/runtime/record-fact.js';

export interface Standing {
  readonly run: RunState;
  readonly stage: StageState;
}

/** Payloads of the run's own stream, in order. */
export async function runEvents(home: string, run: string): Promise<readonly Payload[]> {
  const logs = await openEmbeddedLogs(join(home, 'log'));
  try {
    const log = await logs.open(run, 'read');
    const stored = await log.readStream(runStream(run));
    await log.close();
    return stored.flatMap(({ event }) => event.payload ?? []);
  } finally {
    await logs.close();
  }
}

/** The run and one of its stages as the log has them now; undefined before the log exists. */
export async function standing(home: string, run: string, stage: string): Promise<Standing | undefined> {
  const logs = await openEmbeddedLogs(join(home, 'log'));
  try {
    const log = await logs.open(run, 'read');
    try {
      const runState = (await readFold(log, runStream(run), runFold)).state;
      return { run: runState, stage: (await readFold(log, stageStream(run, stage), stageFold)).state };
    } finally {
      await log.close();
    }
  } catch (error) {
    if (error instanceof StemmaError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  } finally {
    await logs.close();
  }
}

const LOOK_EVERY_MS = 15;

/** Resolves when the condition holds; rejects when `until` aborts first. */
export async function whenStanding(
  at: { readonly home: string; readonly run: string; readonly stage: string }, until: AbortSignal, holds: (standing: Standing) => boolean,
): Promise<Standing> {
  for (;;) {
    until.throwIfAborted();
    const now = await standing(at.home, at.run, at.stage);
    if (now && holds(now)) return now;
    await delay(LOOK_EVERY_MS);
  }
}
