/** Expert trajectories made by code: the environment's demonstration, acted out turn by turn and verified. */
import type { Domain, Environment, Json, Task } from '../../core/environment.js';
import { StemmaError } from '../../core/errors.js';
import type { DatasetRow } from '../../proto/gen/stemma/v1/data.js';
import { packU32 } from '../../core/log/bytes.js';
import type { Chat } from '../runtime/chat.js';

/** A trajectory as tokens and mask, 1 where the assistant speaks. */
export function demonstrationRow(environment: Environment, chat: Chat, taskId: string, style: string): DatasetRow {
  const task = environment.task(taskId);
  const pieces: { tokens: Uint32Array; trained: boolean }[] = [{ tokens: chat.encodePrompt(task.prompt), trained: false }];
  let state: Json = environment.start(task, style);
  for (const action of environment.demonstrate(task, style)) {
    pieces.push({ tokens: chat.encodeAssistant(action), trained: true });
    const transition = environment.step(task, state, action);
    state = transition.state;
    if (transition.done) break;
    pieces.push({ tokens: chat.encodeObservation(transition.observation ?? ''), trained: false });
  }
  assertCorrect(environment, task, state);
  return concatRow(environment.domain, taskId, pieces);
}

function assertCorrect(environment: Environment, task: Task, state: Json): void {
  if (environment.verify(task, state).correct) return;
  throw new StemmaError('environment', 'INVALID', `the demonstration of ${task.id} does not verify`, `Fix demonstrate() of the ${environment.domain} environment.`);
}

function concatRow(domain: Domain, task: string, pieces: readonly { tokens: Uint32Array; trained: boolean }[]): DatasetRow {
  const length = pieces.reduce((n, p) => n + p.tokens.length, 0);
  const tokens = new Uint32Array(length);
  const mask = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    tokens.set(piece.tokens, at);
    if (piece.trained) mask.fill(1, at, at + piece.tokens.length);
    at += piece.tokens.length;
  }
  return { domain, task, tokens: packU32(tokens), mask };
}
