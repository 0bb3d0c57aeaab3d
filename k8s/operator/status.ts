/** What a run's status says, from what was observed. What nobody knows at the moment stays as it was last known. Pure. */
import { conditionsFrom, finding, type Finding } from './conditions.js';
import type { Queue } from './kueue.js';
import type { Progress } from './run-gateway.js';
import type { Resolution } from './recipe.js';
import { conditionOf, hasEnded, runIdOf, type AppliedOverride, type Phase, type Replicas, type TrainingRun, type TrainingRunStatus } from './training-run.js';
import { isSuspended, pausedByUs, wasSubmitted } from './steering.js';

/** What came of asking the run's gateway. */
export type Contact =
  | { readonly kind: 'not-asked' }
  | { readonly kind: 'silent'; readonly message: string }
  | { readonly kind: 'unknown-run' }
  | { readonly kind: 'known'; readonly progress: Progress };

export interface Observed {
  readonly resolution: Resolution;
  /** Why some object is not as wanted; absent: all are. */
  readonly applyProblem?: { readonly reason: 'FieldConflict' | 'Refused'; readonly message: string };
  readonly contact: Contact;
  readonly overrides: readonly AppliedOverride[];
  /** What the run said to an override. */
  readonly refused?: string;
  /** Domains without a ready teacher; absent: the run has its own scoring pods. */
  readonly domainsWithoutTeacher?: readonly string[];
  /** That the spec names; absent: it names none. */
  readonly queue?: Queue;
  readonly replicas: Replicas;
  readonly nowMs: number;
}

export function statusOf(run: TrainingRun, seen: Observed): TrainingRunStatus {
  const before = run.status ?? {};
  const generation = run.metadata.generation ?? 0;
  const conditions = conditionsFrom(findings(run, seen), before.conditions, { generation, nowMs: seen.nowMs });
  const phase = phaseOf({ ...run, status: { ...before, conditions } }, seen);
  const ended = hasEnded({ ...run, status: { conditions } });
  return {
    observedGeneration: generation, phase, message: messageOf(phase, conditions),
    run: runIdOf(run),
    ...(seen.contact.kind === 'known' ? figuresOf(seen.contact.progress) : lastFigures(before)),
    ...(ended && { endedAt: before.endedAt ?? new Date(seen.nowMs).toISOString() }),
    ...(!run.spec.embedded && { replicas: seen.replicas }),
    overrides: seen.overrides,
    conditions,
  };
}

function figuresOf({ stages }: Progress): Partial<TrainingRunStatus> {
  const started = stages.filter(({ status }) => status !== 'planned');
  const stage = started.find(({ status }) => status === 'running') ?? started.at(-1);
  if (stage === undefined) return {};
  const { step, steps, reward } = stage;
  return {
    stage: stage.stage, step, ...(steps !== undefined && { steps }), progress: steps === undefined ? `${step}` : `${step}/${steps}`,
    ...(reward !== undefined && reward !== null && { reward }),
  };
}

function lastFigures({ stage, step, steps, progress, reward }: TrainingRunStatus): Partial<TrainingRunStatus> {
  return JSON.parse(JSON.stringify({ stage, step, steps, progress, reward })) as Partial<TrainingRunStatus>;
}

function findings(run: TrainingRun, seen: Observed): Finding[] {
  const { resolution, applyProblem } = seen;
  const resolved = resolution.kind === 'frozen';
  return [
    resolved ? finding('Resolved', 'True', 'RecipeFrozen', `recipe ${resolution.frozen.recipe.name} is frozen in ConfigMap ${run.metadata.name}-recipe`)
      : finding('Resolved', 'False', resolution.reason, resolution.message),
    ...(seen.domainsWithoutTeacher === undefined ? [] : [teachersFinding(run, seen.domainsWithoutTeacher)]),
    ...(seen.queue === undefined ? [] : [queuedFinding(run, seen.queue)]),
    !resolved ? finding('Applied', 'Unknown', 'NotResolved', 'the recipe comes first')
      : applyProblem ? finding('Applied', 'False', applyProblem.reason, applyProblem.message)
        : finding('Applied', 'True', 'AsWanted', 'all objects of the run are as wanted'),
    submittedFinding(run, seen),
    runningFinding(run, seen),
    suspendedFinding(run, seen),
    amendedFinding(run, seen),
    ...endFindings(run, seen),
  ];
}

function teachersFinding(run: TrainingRun, lacking: readonly string[]): Finding {
  const pool = run.spec.teacherPool;
  return lacking.length === 0 ? finding('TeachersReady', 'True', 'PoolReady', `pool ${pool} has a ready teacher for each domain`)
    : finding('TeachersReady', 'False', 'PoolLacksDomain', `pool ${pool} has no ready Teacher for ${lacking.join(', ')}: create one, or see why its pods are not ready`);
}

function queuedFinding({ spec: { queueName }, metadata: { namespace } }: TrainingRun, queue: Queue): Finding {
  switch (queue) {
    case 'ready': return finding('Queued', 'True', 'InQueue', `pods start when LocalQueue ${queueName} admits them`);
    case 'missing': return finding('Queued', 'False', 'QueueMissing', `namespace ${namespace} has no LocalQueue ${queueName}, and the pods wait for it: create it, or name another in queueName`);
    case 'came-later': return finding('Queued', 'False', 'KueueCameLater', 'Kueue was installed after the pods of this run were made: they are in no queue');
    case 'no-kueue': return finding('Queued', 'False', 'KueueMissing', 'this cluster has no Kueue: the pods are in no queue, and start wherever there is room');
  }
}

function submittedFinding(run: TrainingRun, { contact }: Observed): Finding {
  if (contact.kind === 'known' || wasSubmitted(run)) return finding('Submitted', 'True', 'InLog', `run ${runIdOf(run)} is in the log`);
  return finding('Submitted', 'False', 'NotSubmitted', 'the log has no event of it yet');
}

function runningFinding(run: TrainingRun, { contact }: Observed): Finding {
  if (contact.kind === 'silent') return finding('Running', wasSubmitted(run) ? 'Unknown' : 'False', 'GatewaySilent', contact.message);
  if (contact.kind === 'unknown-run') return finding('Running', 'False', 'Submitting', 'the gateway answers; the run is being submitted');
  if (contact.kind === 'not-asked') return finding('Running', 'False', 'NotRunning', 'nothing of it runs now');
  const { status } = contact.progress;
  if (status === 'running' || status === 'submitted' || status === 'stopping') return finding('Running', 'True', 'Training', 'the run goes on');
  return finding('Running', 'False', 'NotRunning', `the run is ${status}`);
}

function suspendedFinding(run: TrainingRun, { contact }: Observed): Finding {
  const paused = contact.kind === 'known' && contact.progress.status === 'paused';
  return run.spec.suspend ? suspending(run, contact, paused) : notSuspending(run, contact, paused);
}

function suspending(run: TrainingRun, contact: Contact, paused: boolean): Finding {
  const stillPaused = contact.kind !== 'known' && isSuspended(run);
  const neverBegan = contact.kind !== 'known' && !wasSubmitted(run);
  if (paused || stillPaused || neverBegan) return finding('Suspended', 'True', 'Suspended', 'paused at a step boundary; its computing pods are given back');
  return finding('Suspended', 'False', 'Suspending', 'the run is asked to pause at the next step boundary');
}

function notSuspending(run: TrainingRun, contact: Contact, paused: boolean): Finding {
  const ours = pausedByUs(run);
  if (paused && !ours) return finding('Suspended', 'False', 'PausedElsewhere', 'someone paused the run past this object: resume it the same way, or set suspend and unset it');
  // Until the run itself is seen to go on: what was paused by us must be resumed by us.
  const unseen = paused || contact.kind !== 'known';
  if (ours && unseen && wasSubmitted(run) && !hasEnded(run)) return finding('Suspended', 'False', 'Resuming', 'the run is asked to go on');
  return finding('Suspended', 'False', 'NotSuspended', 'nobody asked for it');
}

function amendedFinding(run: TrainingRun, { overrides, refused }: Observed): Finding {
  const last = conditionOf(run, 'Amended');
  if (refused !== undefined) return finding('Amended', 'False', 'OverrideRefused', refused);
  if (last?.reason === 'OverrideRefused' && last.observedGeneration === run.metadata.generation) return finding('Amended', 'False', last.reason, last.message);
  const wanted = run.spec.overrides;
  const held = wanted.filter(({ stage, path, value }) => overrides.some((each) => each.stage === stage && each.path === path && each.valueJson === JSON.stringify(value)));
  if (held.length < wanted.length || overrides.length > wanted.length) return finding('Amended', 'False', 'Pending', 'the run has not heard of it yet');
  return wanted.length === 0 ? finding('Amended', 'True', 'AsInRecipe', 'no setting differs from the recipe') : finding('Amended', 'True', 'InForce', `${wanted.length} settings differ from the recipe`);
}

function endFindings(run: TrainingRun, { contact, resolution }: Observed): Finding[] {
  if (contact.kind !== 'known' && hasEnded(run)) return ['Completed', 'Failed'].map((type) => conditionOf(run, type)!);
  const status = contact.kind === 'known' ? contact.progress.status : undefined;
  const detail = contact.kind === 'known' ? contact.progress.detail : '';
  const failed = finding('Failed', 'False', 'NothingFailed', '');
  switch (status) {
    case 'finished': return [finding('Completed', 'True', 'Finished', 'every stage of the recipe is done'), failed];
    case 'failed': return [finding('Completed', 'False', 'RunFailed', detail), finding('Failed', 'True', 'RunFailed', detail)];
    case 'stopped': return [finding('Completed', 'False', 'Stopped', detail), failed];
    default:
      return [
        finding('Completed', 'False', wasSubmitted(run) || status !== undefined ? 'InProgress' : 'NotStarted', ''),
        resolution.kind === 'unresolved' && resolution.reason === 'RecipeInvalid' ? finding('Failed', 'True', 'RecipeInvalid', resolution.message) : failed,
      ];
  }
}

const PHASE_OF_END: { readonly [reason: string]: Phase } = { Finished: 'Completed', RunFailed: 'Failed', Stopped: 'Stopped' };

function phaseOf(run: TrainingRun, seen: Observed): Phase {
  const ended = PHASE_OF_END[conditionOf(run, 'Completed')?.reason ?? ''];
  if (ended) return ended;
  if (conditionOf(run, 'Failed')?.status === 'True') return 'Failed';
  if (seen.resolution.kind === 'unresolved' || lacksTeacher(run)) return 'Pending';
  if (run.spec.suspend) return isSuspended(run) ? 'Suspended' : 'Suspending';
  if (isStopping(seen.contact)) return 'Stopping';
  return wasSubmitted(run) ? 'Running' : 'Starting';
}

function lacksTeacher(run: TrainingRun): boolean {
  return !wasSubmitted(run) && conditionOf(run, 'TeachersReady')?.status === 'False';
}

function isStopping(contact: Contact): boolean {
  return contact.kind === 'known' && contact.progress.status === 'stopping';
}

const PRECONDITIONS = ['Resolved', 'TeachersReady', 'Applied'];
const OBSTACLES = ['QueueMissing', 'OverrideRefused', 'PausedElsewhere', 'GatewaySilent'];

/** What is in the way, if anything is. */
function messageOf(phase: Phase, conditions: TrainingRunStatus['conditions'] & object): string {
  const of = (type: string): string => conditions.find((condition) => condition.type === type)?.message ?? '';
  const inTheWay = conditions.find(({ type, status, reason }) => (status === 'False' && PRECONDITIONS.includes(type)) || OBSTACLES.includes(reason));
  switch (phase) {
    case 'Completed': case 'Stopped': return of('Completed');
    case 'Failed': return of('Failed');
    default: return inTheWay?.message ?? (phase === 'Suspended' || phase === 'Suspending' ? of('Suspended') : of('Running'));
  }
}
