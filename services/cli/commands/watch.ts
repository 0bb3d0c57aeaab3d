import { Command } from 'commander';
import { EXIT_INTERRUPTED } from '../../runtime/shutdown.js';
import type { CliDeps } from '../deps.js';
import { finalTable } from '../final-table.js';
import { Exit } from '../failure.js';
import { accuracyByRole } from '../outcome.js';
import type { Stores } from '../platform.js';
import { createProgressView } from '../progress-view.js';
import { readRun, watchRun } from '../run-reader.js';
import type { RunSnapshot } from '../run-reader.js';
import { withStores } from '../with-stores.js';

const REFRESH_MS = 1_000;

export function watchCommand(deps: CliDeps): Command {
  return new Command('watch')
    .description('follow a run until it ends; Ctrl-C stops watching, not the run')
    .argument('<run>', 'a run id')
    .action((run: string) => withStores(deps, (stores) => watch(deps, stores, run)));
}

async function watch(deps: CliDeps, stores: Stores, run: string): Promise<void> {
  // Says NOT_FOUND now instead of waiting for a run that nobody submitted.
  await readRun(stores, run, 'stages');
  const shutdown = deps.listenForShutdown({ onFirst: () => undefined, onSecond: () => deps.exitNow(EXIT_INTERRUPTED) });
  const view = createProgressView(deps.terminal, deps.nowMs);
  let last: RunSnapshot | null = null;
  try {
    for await (const snapshot of watchRun(stores, run, { signal: shutdown.signal, intervalMs: REFRESH_MS })) {
      view.show(snapshot);
      last = snapshot;
    }
  } finally {
    shutdown.dispose();
  }
  if (shutdown.signal.aborted) throw new Exit(EXIT_INTERRUPTED);
  if (last === null) return;
  deps.terminal.print(`run ${run}: ${last.progress.status}${last.progress.detail === '' ? '' : ` (${last.progress.detail})`}`);
  if (last.progress.accuracy.length > 0) deps.terminal.print(`\n${finalTable(accuracyByRole(last))}`);
}
