import { Command } from 'commander';
import type { Finding } from '../../../core/projection/finding.js';
import { auditRun } from '../../audit/audit-run.js';
import type { CliDeps } from '../deps.js';
import { Exit } from '../failure.js';
import type { Stores } from '../platform.js';
import { readRun } from '../run-reader.js';
import { withStores } from '../with-stores.js';

export function verifyCommand(deps: CliDeps): Command {
  return new Command('verify')
    .description('audit a run: every episode accounted for, every model the routed one, every hash and blob what it says')
    .argument('<run>', 'a run id')
    .action((run: string) => withStores(deps, (stores) => verify(deps, stores, run)));
}

async function verify(deps: CliDeps, stores: Stores, run: string): Promise<void> {
  const { view, manifest } = await readRun(stores, run, 'episodes');
  const { findings, blobs, retired } = await auditRun(stores.blobs, view, manifest);
  for (const finding of findings) deps.terminal.print(findingLine(finding));
  deps.terminal.print(`${findings.length === 0 ? 'CLEAN' : `${findings.length} violations`}: ${view.requests.size} episodes, ${blobs} blobs checked${retired === 0 ? '' : `, ${retired} superseded ones collected`}`);
  if (findings.length > 0) throw new Exit(1);
}

function findingLine({ stream, event, what }: Finding): string {
  return `${stream}, ${event}: ${what}`;
}
