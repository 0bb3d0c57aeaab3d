/**
 * Progress on stderr. On a terminal one line a stage, the running ones rewritten in place;
 * elsewhere a line when a stage starts moving, every few seconds, and when it ends.
 */
import { stageLine } from './stage-line.js';
import type { StageLine } from './stage-line.js';
import type { RunSnapshot } from './run-reader.js';
import type { Terminal } from './terminal.js';

/** Without a terminal: between two lines about the same stage. */
const PLAIN_INTERVAL_MS = 5_000;

export interface ProgressView {
  show(snapshot: RunSnapshot): void;
}

/** `nowMs`: a monotonic clock. */
export function createProgressView(terminal: Terminal, nowMs: () => number): ProgressView {
  return terminal.isTty ? rewrittenView(terminal) : plainView(terminal, nowMs);
}

/** A line for every stage that has started. */
export function linesOf(snapshot: RunSnapshot): StageLine[] {
  const { stages, status } = snapshot.progress;
  const curves = new Map(snapshot.curves.map((each) => [each.stage, each]));
  const width = Math.max(0, ...stages.map((each) => each.stage.length));
  return stages.filter((each) => each.status !== 'planned').map((progress) => {
    const line = stageLine({ progress, curves: curves.get(progress.stage), now: nowIn(snapshot, progress.stage) }, width);
    return !line.finished && (status === 'paused' || status === 'stopping') ? { ...line, text: `${line.text}  (${status})` } : line;
  });
}

/** progress.now lists the open stages as "stage: clause; stage: clause". */
function nowIn(snapshot: RunSnapshot, stage: string): string {
  const clause = snapshot.progress.now.split('; ').find((each) => each.startsWith(`${stage}: `));
  return clause?.slice(stage.length + 2) ?? '';
}

function rewrittenView(terminal: Terminal): ProgressView {
  let painted: readonly string[] = [];
  let settled = 0;
  return {
    show(snapshot) {
      const lines = linesOf(snapshot);
      // Lines of finished stages at the top never change again: they scroll away like any other text.
      const fixed = lines.findIndex((line) => !line.finished);
      const nextSettled = fixed === -1 ? lines.length : fixed;
      const open = lines.slice(settled).map((line) => `${line.finished ? '✓' : '▸'} ${line.text}`.slice(0, terminal.columns() - 1));
      const up = painted.length === 0 ? '' : `\u001b[${painted.length}A\r`;
      terminal.paint(`${up}\u001b[J${open.map((line) => `${line}\n`).join('')}`);
      painted = open.slice(nextSettled - settled);
      settled = nextSettled;
    },
  };
}

function plainView(terminal: Terminal, nowMs: () => number): ProgressView {
  const said = new Map<string, { text: string; finished: boolean; atMs: number }>();
  return {
    show(snapshot) {
      for (const line of linesOf(snapshot)) {
        const before = said.get(line.stage);
        if (before?.finished === true || before?.text === line.text) continue;
        if (before !== undefined && !line.finished && nowMs() - before.atMs < PLAIN_INTERVAL_MS) continue;
        terminal.say(`${line.finished ? '✓' : '▸'} ${line.text}`);
        said.set(line.stage, { text: line.text, finished: line.finished, atMs: nowMs() });
      }
    },
  };
}
