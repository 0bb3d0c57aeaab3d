/**
 * The audit's part about models: who sampled, who scored, who started from whom. A model is named by its weights hash,
 * and each name must lead to the one that the recipe routes to: mislabelled data trains silently.
 */
import type { BatchClosed, EpisodesRequested, ModelState } from '../../proto/gen/stemma/v1/events.js';
import { asynchronyOf, type Recipe, type StageRecipe } from '../recipe/recipe.js';
import { memberStalenessBound, stalenessOf, versionsBefore } from '../stage/staleness.js';
import type { StageFacts } from './facts.js';
import { episodeFinding, runFinding, stageFinding, type Finding } from './finding.js';
import { isDatasetRow } from './ledger-batches.js';
import type { RunView } from './run-view.js';

/** What the audit needs of a manifest. */
export interface AuditedRecipe {
  readonly recipe: Pick<Recipe, 'stages' | 'teachers'>;
  readonly baseWeightsHash: string;
}

interface Audit extends AuditedRecipe {
  readonly view: RunView;
  /** Base and every committed step. */
  readonly known: ReadonlySet<string>;
}

export function modelFindings(view: RunView, audited: AuditedRecipe): Finding[] {
  const known = new Set([audited.baseWeightsHash, ...[...view.stages.values()].flatMap((facts) => facts.committed.map(({ weightsHash }) => weightsHash))]);
  const audit: Audit = { ...audited, view, known };
  return [
    ...runModels(audit), ...forkFindings(view),
    ...audited.recipe.stages.flatMap((stage) => {
      const facts = view.stages.get(stage.id);
      return facts === undefined ? [] : [...startFindings(audit, stage), ...resultFindings(audit, stage.id, facts), ...stageModels(audit, stage, facts)];
    }),
  ];
}

/** The result of the stage that the recipe names; the base for `base`. */
function modelOf({ view, baseWeightsHash }: Audit, name: string): string | undefined {
  return name === 'base' ? baseWeightsHash : view.run.stages.get(name)?.result?.weightsHash;
}

function runModels({ view, recipe }: Audit): Finding[] {
  const { end } = view.run;
  const last = recipe.stages.at(-1)?.id ?? '';
  if (end?.status !== 'finished' || view.run.stages.get(last)?.result?.weightsHash === end.weightsHash) return [];
  return [runFinding('runFinished end', `the run finished with weights ${end.weightsHash}, which are not the result of ${last}`)];
}

function forkFindings({ run: { forked }, stages }: RunView): Finding[] {
  if (forked === undefined || forked.step === 0) return [];
  const commit = stages.get(forked.stage)?.committed.find(({ step }) => step === forked.step);
  if (commit?.stateHash === forked.stateHash && commit.weightsHash === forked.weightsHash) return [];
  return [runFinding('runForked fork', `the fork of ${forked.parentRun} does not hold the state of step ${forked.step} of ${forked.stage} that it was made from`)];
}

function startFindings(audit: Audit, { id, init }: StageRecipe): Finding[] {
  const parent = audit.view.run.stages.get(id)?.started.parent?.weightsHash;
  return parent === undefined || parent === modelOf(audit, init) ? [] : [runFinding(`stageStarted ${id}`, `stage ${id} started from weights ${parent}, which are not the result of ${init}`)];
}

function resultFindings({ view }: Audit, stage: string, facts: StageFacts): Finding[] {
  const commits = new Map(facts.committed.map((commit) => [commit.step, commit]));
  const run = view.run.stages.get(stage);
  const parent = run?.started.parent;
  const after = (step: number): Pick<ModelState, 'weightsHash' | 'stateHash'> | undefined => (step === 0 ? parent : commits.get(step));
  const last = after(Math.max(0, ...commits.keys()));
  const findings: Finding[] = [
    ...facts.snapshots.filter(({ step, stateHash, weightsHash }) => after(step)?.stateHash !== stateHash || after(step)?.weightsHash !== weightsHash)
      .map(({ step }) => stageFinding(stage, `snapshotTaken ${step}`, `the snapshot of step ${step} of ${stage} is not of the state that the step ended in`)),
    ...facts.published.filter(({ step, weightsHash }) => after(step)?.weightsHash !== weightsHash)
      .map(({ step }) => stageFinding(stage, `policyPublished ${step}`, `the weights published at step ${step} of ${stage} are not those that the step ended in`)),
  ];
  if (run?.result && run.result.weightsHash !== last?.weightsHash) findings.push(runFinding(`stageFinished ${stage}`, `the result of ${stage} is not the weights that its last step ended in`));
  if (run?.evaluation && run.evaluation.weightsHash !== run.result?.weightsHash) findings.push(runFinding(`evaluationFinished ${stage}`, `the evaluation of ${stage} was not of its result`));
  return findings;
}

function stageModels(audit: Audit, stage: StageRecipe, facts: StageFacts): Finding[] {
  const requests = facts.requested.filter(({ weightsHash }) => !audit.known.has(weightsHash)).map(({ step, round, purpose, weightsHash }) =>
    stageFinding(stage.id, `episodesRequested ${step}/${round}/${purpose}`, `${stage.id} asked weights ${weightsHash || '(none)'} for episodes of step ${step}, which no step ended in`));
  const episodes = facts.requested.flatMap((request) => request.episodes.map(({ episode, domain }) => ({ episode, domain })));
  return [
    ...requests,
    ...episodes.flatMap(({ episode, domain }) => scorerFindings(audit, stage, episode, domain)),
    ...facts.closed.flatMap((batch) => [
      ...teacherFindings(audit, stage, batch), ...memberFindings(audit, stage, batch), ...stalenessFindings(audit, stage, { batch, facts }),
    ]),
    ...staleDropFindings(audit, stage, facts),
    ...facts.requested.flatMap((request) => changedWeightsFindings(audit, stage, { request, facts })),
  ];
}

/** Whose scores an episode may have; undefined for none. */
function scorerOf(audit: Audit, stage: StageRecipe, purpose: string, domain: string): string | undefined {
  if (purpose === 'teacher' && stage.kind === 'distill') {
    const teacher = audit.recipe.teachers[domain as keyof Recipe['teachers']] as string | undefined;
    return teacher === undefined || teacher === 'none' ? undefined : modelOf(audit, teacher);
  }
  return purpose === 'reference' && stage.kind === 'rl' ? modelOf(audit, stage.reference) : undefined;
}

function scorerFindings(audit: Audit, stage: StageRecipe, episode: string, domain: string): Finding[] {
  const scores = audit.view.episodes.get(episode)?.scores ?? [];
  return scores.filter(({ purpose, scorerWeightsHash }) => scorerOf(audit, stage, purpose, domain) !== scorerWeightsHash)
    .map(({ purpose, scorerWeightsHash }) => episodeFinding(episode, `episodeScored ${purpose}/${scorerWeightsHash}`,
      `episode ${episode} of ${domain} has ${purpose} scores by ${scorerWeightsHash}, to which ${stage.id} does not route ${domain}`));
}

function teacherFindings(audit: Audit, stage: StageRecipe, batch: BatchClosed): Finding[] {
  const event = `batchClosed ${batch.step}`;
  const domains = stage.kind === 'distill' ? [...new Set(batch.members.map(({ domain }) => domain))] : [];
  const wrong = [...new Set([...domains, ...Object.keys(batch.teacherWeightsHashes)])].filter((domain) =>
    scorerOf(audit, stage, 'teacher', domain) === undefined || batch.teacherWeightsHashes[domain] !== scorerOf(audit, stage, 'teacher', domain));
  return wrong.map((domain) => stageFinding(stage.id, event,
    `the batch of step ${batch.step} of ${stage.id} names ${batch.teacherWeightsHashes[domain] ?? 'no one'} as the teacher of ${domain}, which is not the one its recipe routes to`));
}

/** Of RL and distillation: sampled by the weights that the batch names, and scored by the routed teacher. */
function memberFindings(audit: Audit, stage: StageRecipe, batch: BatchClosed): Finding[] {
  const event = `batchClosed ${batch.step}`;
  const policies = new Set(batch.policyWeightsHashes);
  const unknown = batch.policyWeightsHashes.filter((hash) => !audit.known.has(hash))
    .map((hash) => stageFinding(stage.id, event, `the batch of step ${batch.step} of ${stage.id} says that weights ${hash} sampled it, which no step ended in`));
  const members = batch.members.filter(({ member }) => !isDatasetRow(member)).flatMap(({ member, domain }) => {
    const facts = audit.view.episodes.get(member);
    const strangers = [...(facts?.sampledBy ?? [])].filter((hash) => !policies.has(hash));
    const teacher = scorerOf(audit, stage, 'teacher', domain);
    const unscored = stage.kind === 'distill' && !facts?.scores.some((score) => score.purpose === 'teacher' && score.scorerWeightsHash === teacher);
    return [
      ...strangers.map((hash) => stageFinding(stage.id, event, `episode ${member} in the batch of step ${batch.step} of ${stage.id} was sampled by ${hash}, which the batch does not name`)),
      ...(unscored ? [stageFinding(stage.id, event, `episode ${member} in the batch of step ${batch.step} of ${stage.id} has no score by the teacher of ${domain}`)] : []),
      ...otherDomain(audit, stage, batch, { member, domain }),
    ];
  });
  return [...unknown, ...members];
}

/** No turn of a member was sampled by older weights than the stage allows; in a synchronous one none but those it trains. */
function stalenessFindings({ view }: Audit, stage: StageRecipe, { batch, facts }: { readonly batch: BatchClosed; readonly facts: StageFacts }): Finding[] {
  const parent = view.run.stages.get(stage.id)?.started.parent?.weightsHash;
  const bound = memberStalenessBound(asynchronyOf(stage));
  if (parent === undefined) return [];
  const versions = versionsBefore(batch.step, parent, facts.committed);
  return batch.members.filter(({ member }) => !isDatasetRow(member)).flatMap(({ member }) => {
    const staleness = stalenessOf(batch.step, view.episodes.get(member)?.sampledBy ?? [], versions);
    return staleness <= bound ? [] : [stageFinding(stage.id, `batchClosed ${batch.step}`,
      `episode ${member} in the batch of step ${batch.step} of ${stage.id} was sampled by weights ${staleness} steps old; ${bound} are allowed`)];
  });
}

/** Whoever was dropped as stale was staler than its stage allows, and its prompt was asked for again in its step. */
function staleDropFindings({ view }: Audit, stage: StageRecipe, facts: StageFacts): Finding[] {
  const asynchrony = asynchronyOf(stage);
  const parent = view.run.stages.get(stage.id)?.started.parent?.weightsHash;
  const dropped = new Set(facts.dropped.filter(({ reason }) => reason === 'stale').map(({ episode }) => episode));
  if (parent === undefined) return [];
  return [...dropped].flatMap((episode) => {
    const at = (what: string): Finding[] => [stageFinding(stage.id, `episodeDropped ${episode}`, `${stage.id} dropped episode ${episode} as stale, ${what}`)];
    const asked = view.requests.get(episode)?.[0];
    if (asked === undefined) return [];
    const { step, round } = asked.request;
    if (asynchrony?.onStale !== 'drop') return at('and its recipe drops none');
    const staleness = stalenessOf(step, view.episodes.get(episode)?.sampledBy ?? [], versionsBefore(step, parent, facts.committed));
    if (staleness <= asynchrony.maxStaleness) return at(`yet it was ${staleness} steps behind; ${asynchrony.maxStaleness} are allowed`);
    const again = facts.requested.some((request) => request.step === step && request.round > round
      && request.episodes.some(({ task, sample }) => task === asked.episode.task && sample === asked.episode.sample));
    return again || !facts.closed.some((batch) => batch.step === step) ? [] : at('and its prompt was not asked for again');
  });
}

/** Weights changed inside turns only where the recipe lets them, and only to newer ones. */
function changedWeightsFindings({ view }: Audit, stage: StageRecipe, { request, facts }: { readonly request: EpisodesRequested; readonly facts: StageFacts }): Finding[] {
  const turns = request.episodes.flatMap(({ episode }) => (view.episodes.get(episode)?.changedInside ?? []).map((turn) => ({ episode, ...turn })));
  const parent = view.run.stages.get(stage.id)?.started.parent?.weightsHash;
  if (turns.length === 0 || parent === undefined) return [];
  const versions = versionsBefore(request.step, parent, facts.committed);
  const isNewer = (hash: string, before: string | undefined): boolean => before === undefined || (versions.get(hash) ?? -1) > (versions.get(before) ?? -1);
  return turns.flatMap(({ episode, event, hashes }) => {
    const at = (why: string): Finding[] => [episodeFinding(episode, event, `weights changed inside a turn of episode ${episode}, ${why}`)];
    if (request.purpose !== 'train' || asynchronyOf(stage)?.inFlight !== 'inside-turn') return at('which its recipe does not allow');
    return hashes.every((hash, i) => isNewer(hash, hashes[i - 1])) ? [] : at('and not to newer ones');
  });
}

function otherDomain({ view }: Audit, stage: StageRecipe, batch: BatchClosed, { member, domain }: { readonly member: string; readonly domain: string }): Finding[] {
  const asked = view.requests.get(member)?.[0]?.episode.domain;
  if (asked === undefined || asked === domain) return [];
  return [stageFinding(stage.id, `batchClosed ${batch.step}`, `episode ${member} of ${asked} is in the batch of step ${batch.step} of ${stage.id} as one of ${domain}`)];
}
