/** From one episode forward: who asked for it, who sampled and scored it, and which weights it went into. */
import type { BatchClosed } from '../../proto/gen/stemma/v1/events.js';
import type { StageFacts } from './facts.js';
import { datasetRow, isDatasetRow } from './ledger-batches.js';
import { committedSteps } from './curves.js';
import { madeBy, type Maker } from './lineage.js';
import type { RunView } from './run-view.js';

export interface EpisodeUse {
  readonly stage: string;
  readonly step: number;
  readonly batchId: string;
  /** "<dataset>#<row>" where the episode was learned from as a row. */
  readonly member: string;
  /** After the step; undefined while it is not committed. */
  readonly weightsHash: string | undefined;
}

/** A stage whose result the episode has a part in. */
export interface Descendant {
  readonly stage: string;
  /** batch: trained on; init: started from such weights; teacher: learned from such a teacher. */
  readonly through: 'batch' | 'init' | 'teacher';
  /** Result of the stage, or its last step so far; undefined before the first. */
  readonly weightsHash: string | undefined;
}

export interface EpisodeLineage {
  readonly episode: string;
  readonly stage: string;
  readonly step: number;
  readonly purpose: string;
  readonly domain: string;
  readonly task: string;
  readonly sample: number;
  readonly policyWeightsHash: string;
  readonly policyMadeBy: Maker | undefined;
  /** completed | truncated | failed, or owed. */
  readonly status: string;
  readonly reward: number | undefined;
  readonly scores: readonly { readonly purpose: string; readonly scorerWeightsHash: string; readonly madeBy: Maker | undefined }[];
  readonly datasets: readonly { readonly stage: string; readonly dataset: string; readonly row: number }[];
  /** Why no batch and no dataset has it. */
  readonly droppedReason: string | undefined;
  readonly uses: readonly EpisodeUse[];
  readonly descendants: readonly Descendant[];
}

/** undefined where nobody requested such an episode. */
export function lineageOfEpisode(view: RunView, episode: string): EpisodeLineage | undefined {
  const found = view.requests.get(episode)?.[0];
  if (!found) return undefined;
  const facts = view.episodes.get(episode);
  const ended = facts?.ended[0];
  const stages = [...view.stages];
  const uses = stages.flatMap(([stage, of]) => usesIn(stage, of, episode));
  return {
    episode, stage: found.stage, step: found.request.step, purpose: found.request.purpose,
    domain: found.episode.domain, task: found.episode.task, sample: found.episode.sample,
    policyWeightsHash: found.request.weightsHash, policyMadeBy: madeBy(view, found.request.weightsHash),
    status: ended?.status ?? 'owed', reward: ended?.reward,
    scores: (facts?.scores ?? []).map(({ purpose, scorerWeightsHash }) => ({ purpose, scorerWeightsHash, madeBy: madeBy(view, scorerWeightsHash) })),
    datasets: stages.flatMap(([stage, of]) => of.datasets.flatMap(({ dataset, sourceEpisodes }) => {
      const row = sourceEpisodes.indexOf(episode);
      return row < 0 ? [] : [{ stage, dataset, row }];
    })),
    droppedReason: stages.flatMap(([, of]) => of.dropped).find((dropped) => dropped.episode === episode)?.reason,
    uses,
    descendants: descendantsOf(view, new Set(uses.map((use) => use.stage))),
  };
}

function usesIn(stage: string, facts: StageFacts, episode: string): EpisodeUse[] {
  const committed = new Map(committedSteps(facts).map((commit) => [commit.step, commit.weightsHash]));
  return facts.closed.flatMap((batch: BatchClosed) => batch.members.flatMap(({ member }) => {
    if (member !== episode && !(isDatasetRow(member) && isRowOf(facts, member, episode))) return [];
    return [{ stage, step: batch.step, batchId: batch.batchId, member, weightsHash: committed.get(batch.step) }];
  }));
}

function isRowOf(facts: StageFacts, member: string, episode: string): boolean {
  const { dataset, row } = datasetRow(member);
  return facts.datasets.some((sealed) => sealed.dataset === dataset && sealed.sourceEpisodes[row] === episode);
}

/** Stages trained on it, and every later stage that started from or was taught by one of those. */
function descendantsOf(view: RunView, trained: ReadonlySet<string>): Descendant[] {
  const result: Descendant[] = [];
  const hashes = new Set<string>();
  for (const [stage, facts] of view.stages) {
    const through = howItReaches(view, { stage, facts, trained, hashes });
    if (through === undefined) continue;
    const steps = committedSteps(facts);
    const weightsHash = view.run.stages.get(stage)?.result?.weightsHash ?? steps[steps.length - 1]?.weightsHash;
    if (weightsHash !== undefined) hashes.add(weightsHash);
    result.push({ stage, through, weightsHash });
  }
  return result;
}

interface Reach {
  readonly stage: string;
  readonly facts: StageFacts;
  readonly trained: ReadonlySet<string>;
  /** Results of the stages already reached; stages are visited in start order. */
  readonly hashes: ReadonlySet<string>;
}

function howItReaches(view: RunView, { stage, facts, trained, hashes }: Reach): Descendant['through'] | undefined {
  if (trained.has(stage)) return 'batch';
  const parent = view.run.stages.get(stage)?.started.parent?.weightsHash;
  if (parent !== undefined && hashes.has(parent)) return 'init';
  const taught = facts.closed.some((batch) => Object.values(batch.teacherWeightsHashes).some((hash) => hashes.has(hash)));
  return taught ? 'teacher' : undefined;
}
