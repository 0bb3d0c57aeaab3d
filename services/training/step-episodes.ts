/**
 * The episodes of a step as an advance sees them: read once, or, while standing rollouts run them beside it, followed to their end.
 * Following looks at the first episode that is still owed, again and again: one small read a look, and each episode is read once
 * however often it is looked at.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { episodeFold } from '../../core/episode/episode.js';
import { openFold } from '../../core/log/fold.js';
import { episodeStream } from '../../core/log/keys.js';
import type { EventLog, StopSignal } from '../../core/ports.js';
import type { EpisodeRequest, EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import { readOn } from '../runtime/record-fact.js';
import { finishedEpisodes, finishedFrom, type Finished } from './requests.js';

const LOOK_EVERY_MS = 5;
const CHECK_EVERY_MS = 1000;
/** An episode without a new fact for so long is taken to be nobody's: its shards are asked for one by one. */
const STALLED_AFTER_MS = 60_000;

export interface Following {
  /** Now and then while it waits: makes sure that samplers can still sample. */
  readonly check: () => Promise<unknown>;
  readonly signal: StopSignal;
  readonly nowMs: () => number;
}

export class StepEpisodes {
  private readonly finished = new Map<string, Finished>();
  /** What is requested comes by itself: `ended` waits for it. */
  readonly arrive: boolean;

  /** Without `following` it never waits. */
  constructor(private readonly log: EventLog, private readonly run: string, private readonly following?: Following) {
    this.arrive = following !== undefined;
  }

  /** In request order, once all are terminal; undefined while one is owed that nobody seems to run. */
  async ended(rounds: readonly EpisodesRequested[]): Promise<Finished[] | undefined> {
    if (!this.following) return finishedEpisodes(this.log, this.run, rounds);
    const all: Finished[] = [];
    for (const request of rounds.flatMap((round) => round.episodes)) {
      const known = this.finished.get(request.episode) ?? await this.follow(request, this.following);
      if (!known) return undefined;
      this.finished.set(request.episode, known);
      all.push(known);
    }
    return all;
  }

  /** A step is over: its episodes are let go. */
  forget(): void {
    this.finished.clear();
  }

  private async follow(request: EpisodeRequest, { check, signal, nowMs }: Following): Promise<Finished | undefined> {
    const stream = episodeStream(this.run, request.episode);
    const folded = openFold(episodeFold);
    let newsMs = nowMs();
    let checkedMs = newsMs;
    while (!signal.aborted) {
      if (await readOn(this.log, stream, folded)) newsMs = nowMs();
      const finished = finishedFrom(request, folded.state);
      if (finished) return finished;
      if (nowMs() - newsMs > STALLED_AFTER_MS) return undefined;
      if (nowMs() - checkedMs > CHECK_EVERY_MS) {
        await check();
        checkedMs = nowMs();
      }
      await delay(LOOK_EVERY_MS);
    }
    return undefined;
  }
}
