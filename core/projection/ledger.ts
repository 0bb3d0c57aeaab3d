/**
 * The ledger's invariant (an audit, not a decision): every requested episode has one terminal status; every
 * usable training episode is in exactly one RL or distillation batch, or sealed into a dataset, or dropped with
 * one reason (an exhausted score is a reason of its own); evaluation episodes are in none; every step learns
 * from its own closed batch, on the state before it.
 *
 * A check of a live run names only what can no longer be mended: work counts as settled once a later step's
 * batch is closed, its stage or evaluation finished, or the run finished.
 */
import { isUsable, type StageFacts } from './facts.js';
import { episodeFinding, stageFinding, type Finding } from './finding.js';
import { batchViolations, isDatasetRow } from './ledger-batches.js';
import type { Requested } from './requests.js';
import type { RunView } from './run-view.js';

/** Where an episode went. */
interface Use {
  readonly kind: 'batch' | 'dataset' | 'drop';
  readonly stage: string;
  /** That says so. */
  readonly event: string;
  readonly words: string;
}

/** Violations in words, one sentence each; empty when the ledger is clean. */
export function checkLedger(view: RunView): string[] {
  return ledgerFindings(view).map(({ what }) => what);
}

export function ledgerFindings(view: RunView): Finding[] {
  const uses = usesByEpisode(view);
  return [
    ...requestViolations(view),
    ...strangerViolations(view, uses),
    ...[...view.requests.values()].flatMap((requests) => {
      const first = requests[0] as Requested;
      const of = uses.get(first.episode.episode) ?? [];
      return [...endingViolations(view, first), ...spanViolations(view, first), ...useViolations(view, first, of)];
    }),
    ...[...view.gaps].flatMap(([stream, gaps]) => gaps.map((gap) => ({
      stream, event: gap.eventId, what: `the log of ${stream} lacks events before ${gap.eventId}: claim ${gap.claim} goes from seq ${gap.expectedSeq - 1} to ${gap.foundSeq}` }))),
    ...[...view.stages].flatMap(([stage, facts]) => [...dropViolations(stage, facts), ...batchViolations(stage, facts)]),
  ];
}

function usesByEpisode(view: RunView): Map<string, Use[]> {
  const result = new Map<string, Use[]>();
  const use = (episode: string, of: Use): void => {
    result.set(episode, [...(result.get(episode) ?? []), of]);
  };
  for (const [stage, facts] of view.stages) {
    for (const batch of facts.closed) {
      for (const { member } of batch.members) {
        if (!isDatasetRow(member)) use(member, { kind: 'batch', stage, event: `batchClosed ${batch.step}`, words: `in the batch of step ${batch.step} of ${stage}` });
      }
    }
    for (const dataset of facts.datasets) {
      for (const episode of dataset.sourceEpisodes) use(episode, { kind: 'dataset', stage, event: `datasetSealed ${dataset.dataset}`, words: `in dataset ${dataset.dataset} of ${stage}` });
    }
    // The same drop again is one fact: a planner that takes over repeats it before it closes the batch.
    const drops = new Map(facts.dropped.map(({ episode, reason }) => [`${episode}/${reason}`, { episode, reason }]));
    for (const { episode, reason } of drops.values()) use(episode, { kind: 'drop', stage, event: `episodeDropped ${episode}`, words: `dropped by ${stage} (${reason})` });
  }
  return result;
}

function requestViolations(view: RunView): Finding[] {
  return [...view.requests].filter(([, requests]) => requests.length > 1).map(([episode, requests]) => stageFinding(requests[1]!.stage, requestEvent(requests[1]!),
    `episode ${episode} was requested ${requests.length} times: ${requests.map(whichRequest).join('; ')}`));
}

/** Episodes that ran or were used although nobody asked for them. */
function strangerViolations(view: RunView, uses: ReadonlyMap<string, readonly Use[]>): Finding[] {
  const ran = [...view.episodes].filter(([episode, facts]) => !view.requests.has(episode) && (facts.attempts > 0 || facts.ended.length > 0))
    .map(([episode]) => episodeFinding(episode, 'attemptStarted 1', `episode ${episode} ran and was never requested`));
  const used = [...uses].filter(([episode]) => !view.requests.has(episode))
    .map(([episode, of]) => usedFinding(of, `episode ${episode} was never requested and was ${words(of)}`));
  return [...ran, ...used];
}

function endingViolations(view: RunView, requested: Requested): Finding[] {
  const { episode } = requested.episode;
  const ended = view.episodes.get(episode)?.ended ?? [];
  if (ended.length > 1) return [episodeFinding(episode, 'episodeEnded end', `episode ${episode} ended ${ended.length} times: ${ended.map((end) => end.status).join(', ')}`)];
  if (ended.length === 0 && isSettled(view, requested)) return [episodeFinding(episode, 'episodeEnded end', `episode ${episode} (${whichRequest(requested)}) was requested and never ended`)];
  return [];
}

function spanViolations(view: RunView, { episode: { episode } }: Requested): Finding[] {
  return (view.episodes.get(episode)?.changedInside ?? []).flatMap(({ event, problem }) =>
    (problem === undefined ? [] : [episodeFinding(episode, event, `a turn of episode ${episode}: ${problem}`)]));
}

function useViolations(view: RunView, requested: Requested, uses: readonly Use[]): Finding[] {
  const { episode } = requested.episode;
  if (requested.request.purpose === 'evaluate') {
    return uses.length === 0 ? [] : [usedFinding(uses, `evaluation episode ${episode} was ${words(uses)}; evaluation episodes are in none`)];
  }
  const facts = view.episodes.get(episode);
  const taken = uses.filter((use) => use.kind !== 'drop');
  if (!isUsable(facts)) {
    const status = facts?.ended[0]?.status ?? 'not terminal';
    return taken.length === 0 ? [] : [usedFinding(taken, `episode ${episode} is ${status} and was ${words(taken)}`)];
  }
  if (taken.length > 1) return [usedFinding(taken, `episode ${episode} was trained on ${taken.length} times: ${words(taken)}`)];
  if (uses.length > 1) return [usedFinding(uses, `episode ${episode} went ${uses.length} ways: ${words(uses)}`)];
  return uses.length === 0 ? unexplainedViolations(view, requested) : [];
}

function unexplainedViolations(view: RunView, requested: Requested): Finding[] {
  const { episode } = requested.episode;
  const scoreFailed = (view.episodes.get(episode)?.scoreFailures.length ?? 0) > 0;
  if (scoreFailed || !isSettled(view, requested)) return [];
  return [stageFinding(requested.stage, requestEvent(requested), `episode ${episode} (${whichRequest(requested)}) is usable, yet in no batch and no dataset, and was not dropped`)];
}

function dropViolations(stage: string, facts: StageFacts): Finding[] {
  return facts.dropped.filter(({ reason }) => reason === '')
    .map(({ episode }) => stageFinding(stage, `episodeDropped ${episode}`, `${stage} dropped episode ${episode} without a reason`));
}

/** No later event can still give this request's episodes an end or a use. */
function isSettled(view: RunView, { stage, request }: Requested): boolean {
  if (view.run.end?.status === 'finished') return true;
  const started = view.run.stages.get(stage);
  if (request.purpose === 'evaluate') return started?.evaluation !== undefined;
  return started?.result !== undefined || lastClosed(view.stages.get(stage)) > request.step;
}

function lastClosed(facts: StageFacts | undefined): number {
  return Math.max(-1, ...(facts?.closed ?? []).map((batch) => batch.step));
}

function whichRequest({ stage, request }: Requested): string {
  return `${request.purpose}, ${stage} step ${request.step} round ${request.round}`;
}

function requestEvent({ request }: Requested): string {
  return `episodesRequested ${request.step}/${request.round}/${request.purpose}`;
}

/** At the last of the facts that use it. */
function usedFinding(uses: readonly Use[], what: string): Finding {
  const { stage = '', event = '' } = uses.at(-1) ?? {};
  return stageFinding(stage, event, what);
}

function words(uses: readonly Use[]): string {
  return uses.map((use) => use.words).join(' and ');
}
