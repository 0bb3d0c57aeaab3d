/** A lineage as lines for people. Pure. */
import type { Descendant, EpisodeLineage } from '../../core/projection/episode-lineage.js';
import type { PromptLineage } from '../../core/projection/prompt-lineage.js';
import type { Maker, MemberLineage, StageLineage, StepLineage, WeightsLineage } from '../../core/projection/lineage.js';
import { shortHash } from './figures.js';

function makerText(maker: Maker | undefined): string {
  return maker === undefined ? 'base' : `${maker.stage} step ${maker.step}`;
}

/** From the weights back to the base; without `full` only the last step's members are listed. */
export function weightsLines(lineage: WeightsLineage, full: boolean): string[] {
  const stages = lineage.stages.flatMap((stage, index) => stageLines(stage, full, index === 0));
  return [`weights ${lineage.weightsHash}`, ...stages, `  from base weights ${shortHash(lineage.baseWeightsHash)}`];
}

function stageLines(stage: StageLineage, full: boolean, isLast: boolean): string[] {
  const members = stage.steps.flatMap((step) => step.members);
  const episodes = new Set(members.flatMap((member) => member.episode ?? []));
  const prompts = new Set(members.flatMap((member) => member.task ?? []));
  const counts = [`${stage.steps.length} steps`, `${members.length} batch members`, `${episodes.size} episodes`, `${prompts.size} prompts`].join(', ');
  const shown = full ? stage.steps : isLast ? stage.steps.slice(-1) : [];
  return [
    `  ${stage.stage} (${stage.kind}): ${counts}; started from ${shortHash(stage.parentWeightsHash)}`,
    ...stage.teachers.map((teacher) => `    teacher of ${teacher.domain}: ${shortHash(teacher.weightsHash)}, made by ${makerText(teacher.madeBy)}`),
    ...shown.flatMap(stepLines),
  ];
}

function stepLines(step: StepLineage): string[] {
  return [
    `    step ${step.step}: batch ${shortHash(step.batchId)} → weights ${shortHash(step.weightsHash)}`,
    ...step.members.map(memberLine),
  ];
}

function memberLine(member: MemberLineage): string {
  const parts = [
    member.member,
    member.episode === undefined || member.episode === member.member ? '' : `episode ${member.episode}`,
    member.task === undefined ? 'made by code' : `prompt ${member.task}`,
    member.teacherWeightsHash === undefined ? `reward ${member.reward.toFixed(3)} advantage ${member.advantage.toFixed(3)}` : `teacher ${shortHash(member.teacherWeightsHash)}`,
    `${member.trainableTokens} tokens`,
  ];
  return `      ${parts.filter((part) => part !== '').join('  ')}`;
}

export function episodeLines(episode: EpisodeLineage): string[] {
  const reward = episode.reward === undefined ? '' : `, reward ${episode.reward.toFixed(3)}`;
  return [
    `episode ${episode.episode}`,
    `  prompt ${episode.task} (${episode.domain}), sample ${episode.sample}; asked for by ${episode.stage} step ${episode.step} (${episode.purpose})`,
    `  sampled by ${shortHash(episode.policyWeightsHash)}, made by ${makerText(episode.policyMadeBy)}; ${episode.status}${reward}`,
    ...episode.scores.map((score) => `  scored as ${score.purpose} by ${shortHash(score.scorerWeightsHash)}, made by ${makerText(score.madeBy)}`),
    ...episode.datasets.map(({ stage, dataset, row }) => `  row ${row} of dataset ${dataset} of ${stage}`),
    ...(episode.droppedReason === undefined ? [] : [`  dropped: ${episode.droppedReason}`]),
    ...episode.uses.map((use) => `  learned from in ${use.stage} step ${use.step}, batch ${shortHash(use.batchId)} → weights ${use.weightsHash === undefined ? 'not committed yet' : shortHash(use.weightsHash)}`),
    ...episode.descendants.map(descendantLine),
  ];
}

function descendantLine({ stage, through, weightsHash }: Descendant): string {
  return `  has a part in ${stage} (through ${through})${weightsHash === undefined ? '' : `: ${shortHash(weightsHash)}`}`;
}

/** An episode a line; with `full`, each as its own lineage. */
export function promptLines(prompt: PromptLineage, full: boolean): string[] {
  const { task, domain, episodes, descendants } = prompt;
  const uses = episodes.flatMap((episode) => episode.uses);
  return [
    `prompt ${task} (${domain}): ${episodes.length} episodes, ${new Set(uses.map(({ batchId }) => batchId)).size} batches`,
    ...episodes.flatMap((episode) => (full ? episodeLines(episode).map((line) => `  ${line}`) : [episodeLine(episode)])),
    ...(descendants.length === 0 ? ['  has a part in no weights'] : descendants.map(descendantLine)),
  ];
}

function episodeLine({ episode, stage, step, purpose, status, reward, uses, droppedReason }: EpisodeLineage): string {
  const fate = uses.length > 0
    ? uses.map((use) => `${use.stage} step ${use.step} → weights ${use.weightsHash === undefined ? 'not committed yet' : shortHash(use.weightsHash)}`).join(', ')
    : droppedReason === undefined ? 'in no batch' : `dropped: ${droppedReason}`;
  return `  episode ${episode}  ${stage} step ${step} (${purpose})  ${status}${reward === undefined ? '' : ` reward ${reward.toFixed(3)}`}  ${fate}`;
}
