import { runStream } from '../../core/log/keys.js';
import type { Payload } from '../../core/log/fold.js';
import type { RunLogs } from '../../core/ports.js';
import { runFold } from '../../core/run/run.js';
import { readFold, recordFact } from '../runtime/record-fact.js';

/** A terminal fact of the run, unless it has one. */
export async function recordEnd(logs: RunLogs, run: string, payload: Payload): Promise<void> {
  const log = await logs.open(run, 'write');
  const { state } = await readFold(log, runStream(run), runFold);
  if (!state.end) await recordFact(log, { stream: runStream(run), run }, payload);
}
