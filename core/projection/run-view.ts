/**
 * A run's events, from a tail in any interleaving of its streams, as folded facts per stream: the input of
 * progress.ts, curves.ts, ledger.ts and lineage.ts. Each stream goes through its own fold, so duplicates and
 * events of lost claims do not count. Streams have no order among each other: a view of a live run may show
 * a batch before the end of an episode in it.
 */
import type { StoredEvent } from '../ports.js';
import { openFold, type Fold, type OpenFold, type SeqGap } from '../log/fold.js';
import { runFold, type RunState } from '../run/run.js';
import { episodeFactsFold, stageFactsFold, type EpisodeFacts, type StageFacts } from './facts.js';
import { requestsByEpisode, type Requested } from './requests.js';

export interface RunView {
  readonly run: RunState;
  /** By stage id, in the order the stages started. */
  readonly stages: ReadonlyMap<string, StageFacts>;
  /** By episode id: those that were requested, and those that have events. */
  readonly requests: ReadonlyMap<string, readonly Requested[]>;
  readonly episodes: ReadonlyMap<string, EpisodeFacts>;
  /** By stream: acknowledged events that are missing. */
  readonly gaps: ReadonlyMap<string, readonly SeqGap[]>;
  /** Events that changed nothing, of all streams that were ever in the view. */
  readonly ignored: Ignored;
}

export interface Ignored {
  /** Of a claim that was no longer current. */
  readonly zombies: number;
  /** Delivered again. */
  readonly duplicates: number;
}

/** A view that grows with a tail. Events are not kept, only what was folded from them. */
export interface RunViewFeed {
  add(events: Iterable<StoredEvent>): void;
  /** The facts in it are the feed's own: they grow with the next add. */
  view(): RunView;
  /** Lets go of all episodes: for a reader that follows only those under way. */
  forgetEpisodes(): void;
}

export function runViewOf(events: Iterable<StoredEvent>): RunView {
  const feed = runViewFeed();
  feed.add(events);
  return feed.view();
}

/** With another `stageFold` than the default the view serves who needs no more than that keeps. */
export function runViewFeed(stageFold: Fold<StageFacts> = stageFactsFold): RunViewFeed {
  const run = foldsOf(runFold);
  const stages = foldsOf(stageFold);
  const episodes = foldsOf(episodeFactsFold);
  const byKind = { run, stage: stages, episode: episodes };
  let forgotten: Ignored = { zombies: 0, duplicates: 0 };
  return {
    add(events) {
      for (const { event, position } of events) {
        const { kind, id } = parseStream(event.stream);
        if (kind !== 'other') openedFold(byKind[kind], id).add(event, position);
      }
    },
    view() {
      const [runState] = run.open.values();
      const state = runState?.state ?? runFold.initial();
      const ordered = inStartOrder(state, statesOf(stages));
      let requests: RunView['requests'] | undefined;
      return {
        run: state, stages: ordered, episodes: statesOf(episodes),
        // Only lineage and the ledger ask, and it is as large as the run.
        get requests() {
          return (requests ??= requestsByEpisode(ordered));
        },
        get ignored() {
          return [run, stages, episodes].map(ignoredBy).reduce(addIgnored, forgotten);
        },
        gaps: new Map([...gapsOf('run', run), ...gapsOf('stage', stages), ...gapsOf('episode', episodes)]),
      };
    },
    forgetEpisodes() {
      forgotten = addIgnored(forgotten, ignoredBy(episodes));
      episodes.open.clear();
    },
  };
}

export interface StreamName {
  readonly kind: 'run' | 'stage' | 'episode' | 'other';
  /** Run, stage or episode id. */
  readonly id: string;
}

/** run/<run> | stage/<run>/<stage> | episode/<run>/<episode> */
export function parseStream(stream: string): StreamName {
  const [kind, run, ...rest] = stream.split('/');
  if (kind === 'run') return { kind, id: run ?? '' };
  if (kind === 'stage' || kind === 'episode') return { kind, id: rest.join('/') };
  return { kind: 'other', id: stream };
}

/** The open folds of one kind of stream, by id. */
interface Folds<S> {
  readonly fold: Fold<S>;
  readonly open: Map<string, OpenFold<S>>;
}

function foldsOf<S>(fold: Fold<S>): Folds<S> {
  return { fold, open: new Map() };
}

function openedFold(folds: Folds<unknown>, id: string): Pick<OpenFold<unknown>, 'add'> {
  const known = folds.open.get(id);
  if (known) return known;
  const opened = openFold(folds.fold);
  folds.open.set(id, opened);
  return opened;
}

function statesOf<S>(folds: Folds<S>): Map<string, S> {
  return new Map([...folds.open].map(([id, { state }]) => [id, state]));
}

function ignoredBy(folds: { readonly open: ReadonlyMap<string, Ignored> }): Ignored {
  return [...folds.open.values()].reduce<Ignored>(addIgnored, { zombies: 0, duplicates: 0 });
}

function addIgnored(a: Ignored, b: Ignored): Ignored {
  return { zombies: a.zombies + b.zombies, duplicates: a.duplicates + b.duplicates };
}

function gapsOf<S>(kind: string, folds: Folds<S>): [string, readonly SeqGap[]][] {
  return [...folds.open].filter(([, { gaps }]) => gaps.length > 0).map(([id, { gaps }]) => [`${kind} ${id}`, gaps]);
}

function inStartOrder(run: RunState, stages: ReadonlyMap<string, StageFacts>): Map<string, StageFacts> {
  const ids = new Set([...run.stages.keys(), ...stages.keys()]);
  return new Map([...ids].map((id) => [id, stages.get(id) ?? stageFactsFold.initial()]));
}
