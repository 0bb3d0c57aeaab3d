/** The ledger's half about batches and steps of one stage: closed once, from sealed rows, committed in a chain. */
import type { BatchClosed, StepCommitted } from '../../proto/gen/stemma/v1/events.js';
import type { StageFacts } from './facts.js';
import { stageFinding, type Finding } from './finding.js';

/** A batch member that is a row of a dataset, "<dataset>#<row>", and not an episode. */
export function isDatasetRow(member: string): boolean {
  return member.includes('#');
}

export interface DatasetRowName {
  readonly dataset: string;
  readonly row: number;
}

export function datasetRow(member: string): DatasetRowName {
  const at = member.lastIndexOf('#');
  return { dataset: member.slice(0, at), row: Number(member.slice(at + 1)) };
}

export function batchViolations(stage: string, facts: StageFacts): Finding[] {
  return [...closingViolations(stage, facts), ...rowViolations(stage, facts), ...commitViolations(stage, facts)];
}

function closingViolations(stage: string, facts: StageFacts): Finding[] {
  return [...repeated(facts.closed.map((batch) => batch.step))]
    .map(([step, times]) => stageFinding(stage, `batchClosed ${step}`, `step ${step} of ${stage} closed ${times} batches`));
}

/** Rows are of sealed datasets, and each is taken once a pass. */
function rowViolations(stage: string, facts: StageFacts): Finding[] {
  const rows = new Map(facts.datasets.map((dataset) => [dataset.dataset, dataset.rows]));
  const members = facts.closed.flatMap(({ step, members: all }) => all.filter(({ member }) => isDatasetRow(member)).map((each) => ({ ...each, step })));
  const isSealed = (member: string): boolean => {
    const { dataset, row } = datasetRow(member);
    return row >= 0 && row < (rows.get(dataset) ?? 0);
  };
  const unsealed = new Map(members.filter(({ member }) => !isSealed(member)).map(({ member, step }) => [member, step]));
  const lastStep = new Map(members.map(({ member, pass, step }) => [`row ${member} in pass ${pass}`, step]));
  return [
    ...[...unsealed].map(([member, step]) => stageFinding(stage, `batchClosed ${step}`, `${stage} trained on row ${member}, which no sealed dataset has`)),
    ...[...repeated(members.map(({ member, pass }) => `row ${member} in pass ${pass}`))]
      .map(([row, times]) => stageFinding(stage, `batchClosed ${lastStep.get(row) ?? ''}`, `${stage} trained ${times} times on ${row}`)),
  ];
}

function commitViolations(stage: string, facts: StageFacts): Finding[] {
  const closed = new Map<number, BatchClosed>(facts.closed.map((batch) => [batch.step, batch]));
  const again = [...repeated(facts.committed.map((commit) => commit.step))]
    .map(([step, times]) => commitFinding(stage, step, `was committed ${times} times`));
  const wrongBatch = facts.committed.filter((commit) => closed.get(commit.step)?.batchId !== commit.batchId)
    .map((commit) => commitFinding(stage, commit.step, `learned from batch ${commit.batchId || '(none)'}, which is not the one it closed`));
  return [...again, ...wrongBatch, ...chainViolations(stage, facts.committed)];
}

/** Each step's parent is the state the step before it ended in. */
function chainViolations(stage: string, committed: readonly StepCommitted[]): Finding[] {
  const byStep = new Map(committed.map((commit) => [commit.step, commit]));
  return [...byStep.values()].flatMap(({ step, parentStateHash }) => {
    if (step === 1) return [];
    const before = byStep.get(step - 1);
    if (before === undefined) return [commitFinding(stage, step, `was committed without step ${step - 1}`)];
    return before.stateHash === parentStateHash ? [] : [commitFinding(stage, step, `started from a state that is not the end of step ${step - 1}`)];
  });
}

function commitFinding(stage: string, step: number, what: string): Finding {
  return stageFinding(stage, `stepCommitted ${step}`, `step ${step} of ${stage} ${what}`);
}

/** Values that occur more than once, and how often. */
function repeated<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return new Map([...counts].filter(([, times]) => times > 1));
}
