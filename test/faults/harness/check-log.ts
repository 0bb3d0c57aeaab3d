/** The log after a run against the oracle's file: nothing acknowledged is missing or altered, nothing counted twice. */
import { createHash } from 'node:crypto';
import type { EventLog, StoredEvent } from '../../../core/ports.js';
import type { StageFacts } from '../../../core/projection/facts.js';
import { isDatasetRow } from '../../../core/projection/ledger-batches.js';
import type { RunView } from '../../../core/projection/run-view.js';
import { Event } from '../../../proto/gen/stemma/v1/events.js';
import type { OracleLine, SampledLine } from './oracle.js';

/** Every stream that anyone tried to write. */
export async function readStreams(log: EventLog, oracle: readonly OracleLine[]): Promise<Map<string, readonly StoredEvent[]>> {
  const streams = new Set(oracle.flatMap((line) => (line.line === 'attempted' ? [line.stream] : [])));
  const read = new Map<string, readonly StoredEvent[]>();
  for (const stream of streams) read.set(stream, await log.readStream(stream));
  return read;
}

const BARE = { id: '', stream: '', claim: '', seq: 0, causationId: '', correlationId: '', schemaVersion: 0, recordedAtMs: 0n };

function digestOf({ payload }: Event): string {
  return createHash('sha256').update(Event.encode({ ...BARE, payload }).finish()).digest('hex').slice(0, 32);
}

/** Acknowledged events that the log lacks or has otherwise. An attempt without an answer is unknown: it may be there or not. */
export function lostEvents(oracle: readonly OracleLine[], streams: ReadonlyMap<string, readonly StoredEvent[]>): string[] {
  const stored = new Map([...streams.values()].flat().map(({ event }) => [event.id, digestOf(event)]));
  const attempted = new Map(oracle.flatMap((line) => (line.line === 'attempted' ? [[line.id, line] as const] : [])));
  const lost = new Set<string>();
  for (const line of oracle) {
    if (line.line !== 'acknowledged' || stored.get(line.id) === line.digest) continue;
    const what = attempted.get(line.id);
    lost.add(`${what?.type ?? 'event'} ${what?.key ?? ''} of ${what?.stream ?? line.id}: ${stored.has(line.id) ? 'altered' : 'acknowledged and gone'}`);
  }
  return [...lost];
}

/** Facts that count twice in meaning: an episode trained on twice, a row taken twice in a pass, a step or a batch or an end twice. */
export function duplicatedFacts(view: RunView): string[] {
  const uses = [
    ...[...view.stages].flatMap(([stage, facts]) => usesOfStage(stage, facts)),
    ...[...view.requests].flatMap(([episode, requests]) => requests.map(() => `request of episode ${episode}`)),
    ...[...view.episodes].flatMap(([episode, { ended }]) => ended.map(() => `end of episode ${episode}`)),
  ];
  const seen = new Map<string, number>();
  for (const use of uses) seen.set(use, (seen.get(use) ?? 0) + 1);
  return [...seen].filter(([, times]) => times > 1).map(([use, times]) => `${use}: ${times} times`);
}

function usesOfStage(stage: string, { closed, committed, datasets }: StageFacts): string[] {
  return [
    ...closed.flatMap(({ step, members }) => [
      `batch of step ${step} of ${stage}`,
      ...members.map(({ member, pass }) => (isDatasetRow(member) ? `row ${member} of ${stage}, pass ${pass}` : `episode ${member} trained on`)),
    ]),
    ...committed.map(({ step }) => `step ${step} of ${stage}`),
    ...datasets.flatMap(({ dataset, sourceEpisodes }) => [`dataset ${dataset} of ${stage}`, ...sourceEpisodes.map((episode) => `episode ${episode} trained on`)]),
  ];
}

/** A turn is known by its seed and what stands before it: part of a turn that goes on with other weights has more before it. */
function turnOf({ seed, tokens }: SampledLine): string {
  return `${seed} after ${tokens}`;
}

/** Episodes of which more turns were sampled again than they were taken over: a take-over may repeat the one turn that was in flight, and no more. */
export function repeatedInVain(oracle: readonly OracleLine[], episodeOfSeed: ReadonlyMap<string, string>, streamOf: (episode: string) => string): string[] {
  const claims = new Map<string, Set<string>>();
  for (const line of oracle) if (line.line === 'attempted' && line.type === 'claimed') claims.set(line.stream, new Set([...claims.get(line.stream) ?? [], line.key]));
  const sampled = oracle.filter((line) => line.line === 'sampled');
  const times = new Map<string, string[]>();
  for (const line of sampled) {
    const episode = episodeOfSeed.get(line.seed) ?? line.seed;
    times.set(episode, [...times.get(episode) ?? [], turnOf(line)]);
  }
  return [...times].flatMap(([episode, turns]) => {
    const [repeats, takeOvers] = [turns.length - new Set(turns).size, (claims.get(streamOf(episode))?.size ?? 0) - 1];
    return repeats > takeOvers ? [`episode ${episode}: ${repeats} turns sampled again, ${takeOvers} take-overs`] : [];
  });
}

/** For each fault in order: how many turns of one episode were sampled again after it, at most over all episodes. */
export function repeatedTurns(oracle: readonly OracleLine[], episodeOfSeed: ReadonlyMap<string, string>): number[] {
  const seen = new Set<string>();
  const repeats: Map<string, number>[] = [];
  for (const line of oracle) {
    if (line.line === 'fault') repeats.push(new Map());
    if (line.line !== 'sampled') continue;
    const current = repeats.at(-1);
    const episode = episodeOfSeed.get(line.seed) ?? line.seed;
    const turn = turnOf(line);
    if (seen.has(turn)) current?.set(episode, (current.get(episode) ?? 0) + 1);
    seen.add(turn);
  }
  return repeats.map((counts) => Math.max(0, ...counts.values()));
}
