import { Command } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { LEAST_RETENTION, type Retention } from '../../../core/stage/superseded.js';
import { amountOf, collect, planCollection, type Amount, type CollectionPlan } from '../../gc/collect.js';
import type { CliDeps } from '../deps.js';
import { bytesText } from '../figures.js';
import { ageValue, countValue } from '../option-values.js';
import type { Collection } from '../platform.js';

interface Options {
  readonly dryRun: boolean;
  /** Milliseconds. */
  readonly olderThan: number;
  readonly unknownRuns: boolean;
  readonly superseded: boolean;
  readonly keepLast: number;
  /** 0: none. */
  readonly keepEvery: number;
}

const DAY_MS = 86_400_000;
/** An event that names a blob follows the put within minutes, also through retries. */
const SHORTEST_MS = 3_600_000;

export function gcCommand(deps: CliDeps): Command {
  return new Command('gc')
    .description('remove the blobs that no event of any run reaches; safe beside a live run')
    .option('--dry-run', 'only say what would go', false)
    .option('--older-than <age>', 'keep what was put since, as 90m, 36h or 2d; from 1h, in a bucket from 13h', ageValue, DAY_MS)
    .option('--unknown-runs', 'also what only runs without a log here reach: deleted ones, and ones that never began', false)
    .option('--superseded', 'also weights and snapshots that later steps have superseded; a replay does not need them, a fork there takes longer', false)
    .option('--keep-last <n>', 'with --superseded: the newest of a stage that is not finished; from 2', countValue, LEAST_RETENTION.keepLast)
    .option('--keep-every <steps>', 'with --superseded: those of steps that this divides', countValue, LEAST_RETENTION.keepEvery)
    .action(async (options: Options) => {
      const opened = await (await deps.doors()).openCollection(deps.config());
      try {
        await gc(deps, opened, options);
      } finally {
        await opened.close();
      }
    });
}

async function gc({ terminal }: CliDeps, { logs, blobs, sweep }: Collection, options: Options): Promise<void> {
  const { dryRun, olderThan, unknownRuns } = options;
  const shortestMs = Math.max(SHORTEST_MS, sweep.minimumAgeMs);
  if (olderThan < shortestMs) {
    throw new StemmaError('blob', 'INVALID', `--older-than: from ${shortestMs / 3_600_000}h in this store`, 'What is younger may have been put by somebody who has yet to record it.');
  }
  const plan = await planCollection({ logs, blobs, sweep, beforeMs: Date.now() - olderThan, unknownRuns, retention: retentionOf(options) });
  for (const line of planLines(plan)) terminal.print(line);
  if (dryRun) {
    terminal.print(`dry run: ${amountText(amountOf(plan.toGo))} would go, nothing was removed`);
    return;
  }
  terminal.print(`removed: ${amountText(await collect(sweep, plan))}`);
}

function retentionOf({ superseded, keepLast, keepEvery }: Options): Retention | null {
  if (!superseded) return null;
  if (keepLast >= LEAST_RETENTION.keepLast) return { keepLast, keepEvery };
  throw new StemmaError('blob', 'INVALID', `--keep-last: from ${LEAST_RETENTION.keepLast}`, 'The newest snapshot may be torn: the one before it is what a run then goes on from.');
}

const KINDS = { blob: 'reached by nothing', replaced: 'replaced by a newer copy', unfinished: 'left by an interrupted put' } as const;

function planLines({ runs, reached, missing, young, superseded, supersededStay, toGo }: CollectionPlan): string[] {
  const kinds = Object.entries(KINDS).flatMap(([kind, why]) => {
    const amount = amountOf(toGo.filter((copy) => copy.kind === kind && (kind !== 'blob' || !superseded.has(copy.sha256))));
    return amount.count === 0 ? [] : [`goes   ${amountText(amount)}, ${why}`];
  });
  const supersededGoes = amountOf(toGo.filter(({ kind, sha256 }) => kind === 'blob' && superseded.has(sha256)));
  return [
    `${runs} run${runs === 1 ? '' : 's'}`,
    ...[...reached].map(([by, amount]) => `stays  ${amountText(amount)}, named by ${by}`),
    ...(young.count === 0 ? [] : [`stays  ${amountText(young)}, reached by nothing but too young`]),
    ...(supersededStay.count === 0 ? [] : [`stays  ${amountText(supersededStay)}, superseded by later steps (--superseded)`]),
    ...kinds,
    ...(supersededGoes.count === 0 ? [] : [`goes   ${amountText(supersededGoes)}, superseded by later steps`]),
    ...(missing === 0 ? [] : [`missing: ${missing} blobs that events name are not in the store; \`stemma verify RUN\` says which`]),
  ];
}

function amountText({ count, bytes }: Amount): string {
  return `${count} blob${count === 1 ? '' : 's'} of ${bytesText(bytes)}`;
}
