/**
 * The family tree: which batches, trajectories, prompts and teachers made these weights, and which weights
 * an episode went into. Weights are named by their hash; forks and base models end the tree.
 */
import type { BatchClosed, BatchMember } from '../../proto/gen/stemma/v1/events.js';
import { committedSteps } from './curves.js';
import { datasetRow, isDatasetRow } from './ledger-batches.js';
import type { RunView } from './run-view.js';

/** What made a weights hash; undefined for the base weights. */
export interface Maker {
  readonly stage: string;
  readonly step: number;
}

export interface MemberLineage {
  /** An episode id, or "<dataset>#<row>". */
  readonly member: string;
  /** The trajectory behind it: the episode, or the row's source; undefined for a row made by code. */
  readonly episode: string | undefined;
  readonly domain: string;
  /** Task id: the prompt, resolved by the domain's environment; undefined for a row made by code. */
  readonly task: string | undefined;
  /** Weights that sampled it. */
  readonly policyWeightsHash: string | undefined;
  /** Weights that scored it in distillation. */
  readonly teacherWeightsHash: string | undefined;
  readonly reward: number;
  readonly advantage: number;
  readonly trainableTokens: number;
}

export interface StepLineage {
  readonly step: number;
  readonly batchId: string;
  readonly batchSha256: string;
  /** After the step. */
  readonly weightsHash: string;
  readonly members: readonly MemberLineage[];
}

export interface TeacherLineage {
  readonly domain: string;
  readonly weightsHash: string;
  readonly madeBy: Maker | undefined;
}

/** One stage on the way back; its steps up to the weights asked for, in order. */
export interface StageLineage {
  readonly stage: string;
  readonly kind: string;
  readonly parentWeightsHash: string;
  readonly steps: readonly StepLineage[];
  readonly teachers: readonly TeacherLineage[];
}

export interface WeightsLineage {
  readonly weightsHash: string;
  /** From the stage that made the weights back to the base weights. */
  readonly stages: readonly StageLineage[];
  readonly baseWeightsHash: string;
}

/** Known weights hashes that start with `prefix` (a leading "sha256:" is ignored): bases and every step's. */
export function findWeights(view: RunView, prefix: string): string[] {
  const wanted = prefix.replace(/^sha256:/, '');
  const hashes = [
    ...[...view.run.stages.values()].map((stage) => stage.started.parent?.weightsHash ?? ''),
    ...[...view.stages.values()].flatMap((facts) => facts.committed.map((commit) => commit.weightsHash)),
  ];
  return [...new Set(hashes)].filter((hash) => hash !== '' && hash.replace(/^sha256:/, '').startsWith(wanted));
}

/** The first step that ended in these weights; a stage's parent is the step that made it, in an earlier stage. */
export function madeBy(view: RunView, weightsHash: string): Maker | undefined {
  for (const [stage, facts] of view.stages) {
    const commit = committedSteps(facts).find((step) => step.weightsHash === weightsHash);
    if (commit) return { stage, step: commit.step };
  }
  return undefined;
}

/** undefined where the run knows no such weights. */
export function lineageOfWeights(view: RunView, weightsHash: string): WeightsLineage | undefined {
  if (!findWeights(view, weightsHash).includes(weightsHash)) return undefined;
  const stages: StageLineage[] = [];
  let hash = weightsHash;
  for (let maker = madeBy(view, hash); maker !== undefined; maker = madeBy(view, hash)) {
    const lineage = stageLineage(view, maker);
    // A step that changed nothing (learning rate 0) ends in the weights it began with: there the tree ends.
    if (lineage.parentWeightsHash === hash || stages.some((stage) => stage.stage === lineage.stage)) break;
    stages.push(lineage);
    hash = lineage.parentWeightsHash;
  }
  return { weightsHash, stages, baseWeightsHash: hash };
}

function stageLineage(view: RunView, { stage, step }: Maker): StageLineage {
  const facts = view.stages.get(stage);
  const started = view.run.stages.get(stage)?.started;
  const closed = new Map((facts?.closed ?? []).map((batch) => [batch.step, batch]));
  const steps = (facts ? committedSteps(facts) : []).filter((commit) => commit.step <= step);
  const batches = steps.flatMap((commit) => closed.get(commit.step) ?? []);
  return {
    stage,
    kind: started?.kind ?? '',
    parentWeightsHash: started?.parent?.weightsHash ?? '',
    steps: steps.map((commit) => {
      const batch = closed.get(commit.step);
      return {
        step: commit.step, batchId: commit.batchId, batchSha256: batch?.batch?.sha256 ?? '', weightsHash: commit.weightsHash,
        members: batch ? batch.members.map((member) => memberLineage(view, stage, batch, member)) : [],
      };
    }),
    teachers: teachersOf(view, batches),
  };
}

function memberLineage(view: RunView, stage: string, batch: BatchClosed, member: BatchMember): MemberLineage {
  const episode = isDatasetRow(member.member) ? sourceEpisode(view, stage, member.member) : member.member;
  const found = episode === undefined ? undefined : view.requests.get(episode)?.[0];
  return {
    member: member.member, episode, domain: member.domain,
    task: found?.episode.task,
    policyWeightsHash: found?.request.weightsHash,
    teacherWeightsHash: batch.teacherWeightsHashes[member.domain],
    reward: member.reward, advantage: member.advantage, trainableTokens: member.trainableTokens,
  };
}

function sourceEpisode(view: RunView, stage: string, member: string): string | undefined {
  const { dataset, row } = datasetRow(member);
  return view.stages.get(stage)?.datasets.find((sealed) => sealed.dataset === dataset)?.sourceEpisodes[row];
}

function teachersOf(view: RunView, batches: readonly BatchClosed[]): TeacherLineage[] {
  const teachers = new Map<string, TeacherLineage>();
  for (const { teacherWeightsHashes } of batches) {
    for (const [domain, weightsHash] of Object.entries(teacherWeightsHashes)) {
      teachers.set(`${domain}/${weightsHash}`, { domain, weightsHash, madeBy: madeBy(view, weightsHash) });
    }
  }
  return [...teachers.values()];
}
