/**
 * Two runs compared by what their facts mean. A meaning has a key that does not name the run and a value without ids of
 * claims and events, times, holders and blob names that depend on how work was cut: the same training on one worker or on four has
 * the same meanings.
 */
import type { EpisodeState } from '../episode/episode.js';
import type { RunState } from '../run/run.js';
import type { StageFacts } from './facts.js';

/** In the order in which a step makes them. */
export const MEANING_KINDS = ['settings', 'stage', 'request', 'episode', 'dataset', 'drop', 'batch', 'step', 'result', 'evaluation'] as const;
export type MeaningKind = (typeof MEANING_KINDS)[number];

export interface Meaning {
  readonly kind: MeaningKind;
  /** '' for the run's own. */
  readonly stage: string;
  readonly step: number;
  /** Unique within kind and stage. */
  readonly key: string;
  /** Equal where the facts mean the same. */
  readonly value: string;
}

export interface DiffCounts {
  readonly same: number;
  readonly different: number;
  readonly onlyInFirst: number;
  readonly onlyInSecond: number;
}

export interface Divergence {
  readonly how: 'different' | 'only in the first' | 'only in the second';
  readonly first: Meaning | undefined;
  readonly second: Meaning | undefined;
}

export interface RunDiff {
  readonly counts: ReadonlyMap<MeaningKind, DiffCounts>;
  /** In order of stage, step and kind; undefined where both mean the same. */
  readonly firstDivergence: Divergence | undefined;
}

export function runMeanings(run: RunState): Meaning[] {
  const settings = run.amendments.map(({ stage, fromStep, path, valueJson }) => ({ kind: 'settings' as const, stage, step: fromStep, key: `${path} from ${fromStep}`, value: valueJson }));
  const stages = [...run.stages].flatMap(([stage, { started, result, evaluation }]): Meaning[] => [
    meaning('stage', stage, 0, '', { kind: started.kind, parent: started.parent?.weightsHash, settings: started.settingsHash }),
    ...(result ? [meaning('result', stage, Infinity, '', { weights: result.weightsHash })] : []),
    ...(evaluation ? [meaning('evaluation', stage, Infinity, '', { weights: evaluation.weightsHash, accuracy: evaluation.accuracy })] : []),
  ]);
  const of = run.created;
  return [meaning('settings', '', 0, 'recipe', { settings: of?.settingsHash, seed: of?.seed.toString() }), ...settings, ...stages];
}

export function stageMeanings(stage: string, facts: StageFacts): Meaning[] {
  return [
    ...facts.requested.map(({ step, round, purpose, weightsHash, greedy, protocol, temperature, episodes }) => meaning('request', stage, step, `${step}/${round}/${purpose}`, {
      weightsHash, greedy, protocol, temperature, episodes: episodes.map(({ episode, domain, task, sample, seed }) => [episode, domain, task, sample, seed.toString()]),
    })),
    ...facts.datasets.map(({ dataset, blob, rows, sourceEpisodes }) => meaning('dataset', stage, 0, dataset, { blob: blob?.sha256, rows, sourceEpisodes })),
    ...facts.dropped.map(({ episode, reason }) => meaning('drop', stage, stepAsked(facts, episode), episode, reason)),
    ...facts.closed.map(({ step, members, settingsJson, policyWeightsHashes, teacherWeightsHashes }) => meaning('batch', stage, step, `${step}`, {
      members, settingsJson, policyWeightsHashes, teachers: Object.entries(teacherWeightsHashes).sort(([a], [b]) => (a < b ? -1 : 1)),
    })),
    ...facts.committed.map(({ step, parentStateHash, stateHash, weightsHash }) => meaning('step', stage, step, `${step}`, { parentStateHash, stateHash, weightsHash })),
  ];
}

/** What an episode came to: its tokens and who sampled them, its verdict. How often it was interrupted on the way is not in it. */
export function episodeMeaning({ stage, step, episode }: { readonly stage: string; readonly step: number; readonly episode: string }, state: EpisodeState): Meaning {
  const { status, correct, reward, components, rubrics, turns, promptTokens } = state;
  return meaning('episode', stage, step, episode, {
    status, correct, reward, components, rubrics, prompt: Array.from(promptTokens),
    turns: turns.map(({ tokens, observationTokens, spans, finish }) => [Array.from(tokens), Array.from(observationTokens ?? []), spans, finish]),
  });
}

/** `stages`: in the order of the recipe. */
export function diffMeanings(stages: readonly string[], first: Iterable<Meaning>, second: Iterable<Meaning>): RunDiff {
  const [ours, theirs] = [byName(first), byName(second)];
  const counts = new Map<MeaningKind, { same: number; different: number; onlyInFirst: number; onlyInSecond: number }>();
  let earliest: Divergence | undefined;
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    const pair = { first: ours.get(name), second: theirs.get(name) };
    const any = (pair.first ?? pair.second) as Meaning;
    const count = counts.get(any.kind) ?? { same: 0, different: 0, onlyInFirst: 0, onlyInSecond: 0 };
    counts.set(any.kind, count);
    const how = howTheyDiffer(pair.first, pair.second);
    count[how === undefined ? 'same' : COUNTED[how]] += 1;
    if (how !== undefined && (earliest === undefined || isBefore(stages, any, (earliest.first ?? earliest.second) as Meaning))) earliest = { how, ...pair };
  }
  return { counts, firstDivergence: earliest };
}

const COUNTED = { different: 'different', 'only in the first': 'onlyInFirst', 'only in the second': 'onlyInSecond' } as const;

function howTheyDiffer(first: Meaning | undefined, second: Meaning | undefined): Divergence['how'] | undefined {
  if (first === undefined) return 'only in the second';
  if (second === undefined) return 'only in the first';
  return first.value === second.value ? undefined : 'different';
}

/** A fact told again by a later claim is the same fact: the first counts, as in the folds that decide. */
function byName(meanings: Iterable<Meaning>): Map<string, Meaning> {
  const result = new Map<string, Meaning>();
  for (const each of meanings) {
    const name = `${each.kind}\n${each.stage}\n${each.key}`;
    if (!result.has(name)) result.set(name, each);
  }
  return result;
}

function isBefore(stages: readonly string[], a: Meaning, b: Meaning): boolean {
  const place = ({ stage, step, kind }: Meaning): number[] => [stages.indexOf(stage), step, MEANING_KINDS.indexOf(kind)];
  const [x, y] = [place(a), place(b)];
  const at = x.findIndex((value, i) => value !== y[i]);
  return at >= 0 && (x[at] ?? 0) < (y[at] ?? 0);
}

function stepAsked(facts: StageFacts, episode: string): number {
  return facts.requested.find(({ episodes }) => episodes.some((each) => each.episode === episode))?.step ?? 0;
}

// eslint-disable-next-line max-params -- a tuple with names
function meaning(kind: MeaningKind, stage: string, step: number, key: string, value: unknown): Meaning {
  return { kind, stage, step, key, value: JSON.stringify(value) };
}
