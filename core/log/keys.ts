/**
 * The table of docs/events.md as data: for each payload its stream, its writing role and its natural key.
 * A unit test holds the two together.
 */
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { StemmaError } from '../errors.js';

export type Payload = NonNullable<Event['payload']>;
export type PayloadCase = Payload['$case'];
type ValueOf<C extends PayloadCase> = Extract<Payload, { $case: C }>['value'];

/** A claim fences one role on one stream. */
export type Role = 'planner' | 'rollout' | 'scorer';

export type StreamKind = 'run' | 'stage' | 'episode';

interface Row<C extends PayloadCase> {
  readonly stream: StreamKind | 'any';
  readonly role: Role | null;
  readonly key: (value: ValueOf<C>) => string;
}

const ROWS: { readonly [C in PayloadCase]: Row<C> } = {
  claimed: { stream: 'any', role: null, key: (value) => value.claimId },

  runForked: { stream: 'run', role: null, key: () => 'fork' },
  runCreated: { stream: 'run', role: null, key: () => 'run' },
  stageStarted: { stream: 'run', role: null, key: (value) => value.stage },
  stageFinished: { stream: 'run', role: null, key: (value) => value.stage },
  evaluationFinished: { stream: 'run', role: null, key: (value) => value.stage },
  runPaused: { stream: 'run', role: null, key: (value) => value.updateId },
  runResumed: { stream: 'run', role: null, key: (value) => value.updateId },
  runStopRequested: { stream: 'run', role: null, key: (value) => value.updateId },
  settingAmended: { stream: 'run', role: null, key: (value) => value.updateId },
  runFinished: { stream: 'run', role: null, key: () => 'end' },
  runFailed: { stream: 'run', role: null, key: () => 'end' },
  runStopped: { stream: 'run', role: null, key: () => 'end' },

  episodesRequested: { stream: 'stage', role: 'planner', key: (value) => `${value.step}/${value.round}/${value.purpose}` },
  episodeDropped: { stream: 'stage', role: 'planner', key: (value) => value.episode },
  datasetSealed: { stream: 'stage', role: 'planner', key: (value) => value.dataset },
  batchClosed: { stream: 'stage', role: 'planner', key: (value) => `${value.step}` },
  stepCommitted: { stream: 'stage', role: 'planner', key: (value) => `${value.step}` },
  snapshotTaken: { stream: 'stage', role: 'planner', key: (value) => `${value.step}` },
  policyPublished: { stream: 'stage', role: 'planner', key: (value) => `${value.step}` },

  attemptStarted: { stream: 'episode', role: 'rollout', key: (value) => `${value.attempt}` },
  turnSampled: { stream: 'episode', role: 'rollout', key: (value) => `${value.attempt}/${value.turn}` },
  observationRecorded: { stream: 'episode', role: 'rollout', key: (value) => `${value.attempt}/${value.turn}` },
  attemptAborted: { stream: 'episode', role: 'rollout', key: (value) => `${value.attempt}` },
  episodeEnded: { stream: 'episode', role: 'rollout', key: () => 'end' },
  episodeScored: { stream: 'episode', role: 'scorer', key: (value) => `${value.purpose}/${value.scorerWeightsHash}` },
  scoreFailed: { stream: 'episode', role: 'scorer', key: (value) => `${value.purpose}/${value.scorerWeightsHash}` },
};

/** UNSUPPORTED for a payload that a newer version wrote. */
function rowOf<C extends PayloadCase>(payload: Extract<Payload, { $case: C }>): Row<C> {
  const row = ROWS[payload.$case] as Row<C> | undefined;
  if (!row) {
    throw new StemmaError('log', 'UNSUPPORTED', `unknown event payload "${String(payload.$case)}"`,
      'A newer version wrote this run: read it with that version.');
  }
  return row;
}

/** What makes the fact one fact within (stream, type, claim). */
export function naturalKey(payload: Payload): string {
  return (rowOf(payload).key as (value: Payload['value']) => string)(payload.value);
}

/** The role that must hold a claim to write this payload; null where the key alone makes it unique. */
export function roleOf(payload: Payload): Role | null {
  return rowOf(payload).role;
}

/** The kind of stream this payload belongs to; null where any will do. */
export function streamKindOf(payload: Payload): StreamKind | null {
  const { stream } = rowOf(payload);
  return stream === 'any' ? null : stream;
}

export function runStream(run: string): string {
  return `run/${run}`;
}

export function stageStream(run: string, stage: string): string {
  return `stage/${run}/${stage}`;
}

export function episodeStream(run: string, episode: string): string {
  return `episode/${run}/${episode}`;
}
