/**
 * The rollout activity: the episodes [from, to) of one request, concurrently, turn by turn.
 * A retry reads where each stands and runs the unfinished ones; a worker that lost an episode to another leaves it alone.
 */
import { DOMAINS, type Domain } from '../../core/environment.js';
import { episodeFold, isEnded, type EndStatus } from '../../core/episode/episode.js';
import { runningFold, type RunningEpisode } from '../../core/episode/running.js';
import { StemmaError } from '../../core/errors.js';
import { episodeStream } from '../../core/log/keys.js';
import type { EventLog, Sampler } from '../../core/ports.js';
import { asynchronyOf } from '../../core/recipe/recipe.js';
import type { NewestWeights } from '../../core/stage/staleness.js';
import type { EpisodeRequest, EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { RolloutActivities, Shard, ShardResult } from '../../workflows/activities.js';
import { claimStreams, type ClaimedStream } from '../runtime/claimed-stream.js';
import { readFold } from '../runtime/record-fact.js';
import type { RunContext } from '../runtime/run-context.js';
import { inSpan } from '../runtime/tracing/spans.js';
import { runEpisode } from './episode-runner.js';
import type { RolloutMetrics } from './metrics.js';
import { isWeightsMissing, patientSampler } from './patient-sampler.js';
import { stageRequests, type StageRequests } from './stage-requests.js';
import { standRollouts } from './stand-rollouts.js';
import { sampleAsRequested, sampleWithNewest, type TurnSampler } from './turn-sampler.js';

/** Longer than a supervised sidecar takes to come back, shorter than anyone waits before asking why. */
const DEFAULT_PATIENCE_MS = 30_000;

export type RolloutContext = Pick<RunContext, 'recipe' | 'environments' | 'chat' | 'log'>;

export interface RolloutDeps {
  readonly contexts: { get(run: string): Promise<RolloutContext> };
  readonly sampler: Sampler;
  readonly metrics: RolloutMetrics;
  readonly logger: { warn(fields: object, message: string): void };
  /** For people: service, host, process id. */
  readonly holder: string;
  /** Called as episodes progress. */
  readonly heartbeat: () => void;
  /** How long a sampler that is away is waited for before Temporal retries the shard. */
  readonly samplerPatienceMs?: number;
  /** Of the activity that is running. */
  readonly cancellation: () => AbortSignal;
}

export function createRolloutActivities(deps: RolloutDeps): RolloutActivities {
  const requestsOf = stageRequests();
  const inTurn = takingTurns();
  return {
    async standRollouts(standing) {
      const context = await deps.contexts.get(standing.run);
      return standRollouts(deps, standing, {
        context, requests: requestsOf(context.log, standing), runShard: (shard, work) => runShard(deps, shard, work, inTurn),
      });
    },
    async rolloutShard(shard) {
      const context = await deps.contexts.get(shard.run);
      const requests = requestsOf(context.log, shard);
      return runShard(deps, shard, { context, requests, round: await requests.find(shard) }, inTurn);
    },
  };
}

type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** One shard starts after the other: the sampler computes the first while the next is claimed. */
function takingTurns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

export interface ShardWork {
  readonly context: RolloutContext;
  /** Of its stage. */
  readonly requests: StageRequests;
  readonly round: EpisodesRequested;
}

interface Started {
  readonly requests: number;
  readonly running: Promise<EndStatus | 'lost'>[];
}

async function runShard(deps: RolloutDeps, shard: Shard, work: ShardWork, inTurn: InTurn): Promise<ShardResult> {
  const { requests, running } = await inTurn(() => startEpisodes(deps, shard, work));
  // All settle before the activity does: a rejected shard must not go on writing beside its own retry.
  return summarise(await Promise.allSettled(running), requests - running.length);
}

/** Resolves when the first turns are asked for. */
async function startEpisodes(deps: RolloutDeps, shard: Shard, work: ShardWork): Promise<Started> {
  const { context, round } = work;
  const requests = round.episodes.slice(shard.from, shard.to);
  const owed = await unfinished(context.log, shard.run, requests);
  const streams = await claimStreams(
    context.log,
    owed.map(({ episode }) => ({ stream: episodeStream(shard.run, episode), role: 'rollout' as const, holder: deps.holder, run: shard.run })),
    runningFold,
  );
  const patient = patientSampler(deps.sampler, round.weights, {
    withinMs: deps.samplerPatienceMs ?? DEFAULT_PATIENCE_MS,
    onRetry: (error) => deps.logger.warn({ run: shard.run, stage: shard.stage, code: error.code }, `waiting for the sampler: ${error.message}`),
  });
  const stage = context.recipe.stages.find(({ id }) => id === shard.stage);
  const asynchrony = round.purpose === 'train' ? asynchronyOf(stage) : undefined;
  const look = async (): Promise<NewestWeights> => (await work.requests.look()).newest;
  const sampler = asynchrony ? sampleWithNewest(patient, round, { look, inFlight: asynchrony.inFlight }) : sampleAsRequested(patient, round);
  const running = owed.map((request, index) => runOne(deps, shard, { ...work, request, stream: streams[index]!, sampler }));
  for (const episode of running) episode.catch(() => undefined); // Looked at by the caller.
  return { requests: requests.length, running };
}

async function unfinished(log: EventLog, run: string, requests: readonly EpisodeRequest[]): Promise<readonly EpisodeRequest[]> {
  const folded = await Promise.all(requests.map(({ episode }) => readFold(log, episodeStream(run, episode), episodeFold)));
  return requests.filter((_, index) => !isEnded(folded[index]!.state));
}

interface EpisodeOfShard extends ShardWork {
  readonly request: EpisodeRequest;
  readonly stream: ClaimedStream<RunningEpisode>;
  readonly sampler: TurnSampler;
}

async function runOne(deps: RolloutDeps, shard: Shard, { context, round, request, stream, sampler }: EpisodeOfShard): Promise<EndStatus | 'lost'> {
  const domain = knownDomain(request);
  deps.metrics.running(1);
  try {
    return await inSpan('episode', { about: { run: shard.run, stage: shard.stage, step: round.step, episode: request.episode } }, () => runEpisode({
      stage: shard.stage, round, request, stream, sampler,
      environment: context.environments[domain], budget: context.recipe.budgets[domain], rewards: context.recipe.rewards,
      chat: context.chat, metrics: deps.metrics, progressed: deps.heartbeat,
      onAborted: (reason) => deps.logger.warn({ run: shard.run, stage: shard.stage, episode: request.episode }, `attempt aborted: ${reason}`),
    }));
  } catch (error) {
    if (!(error instanceof StemmaError) || error.code !== 'CLAIM_LOST') throw error;
    deps.logger.warn({ run: shard.run, stage: shard.stage, episode: request.episode }, `left to another worker: ${error.message}`);
    return 'lost';
  } finally {
    deps.metrics.running(-1);
  }
}

function knownDomain({ domain, episode }: EpisodeRequest): Domain {
  const known = DOMAINS.find((name) => name === domain);
  if (known !== undefined) return known;
  throw new StemmaError('environment', 'INVALID', `episode ${episode} asks for domain '${domain}'`, `Domains are ${DOMAINS.join(', ')}.`);
}

/** An error that no retry can help is the one to report. */
function summarise(outcomes: readonly PromiseSettledResult<EndStatus | 'lost'>[], alreadyEnded: number): ShardResult {
  const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  const serious = errors.filter((error) => !isWeightsMissing(error));
  const worst = serious.find((error) => !(error instanceof StemmaError && error.retriable)) ?? serious[0];
  if (worst !== undefined) throw worst;
  const ended = outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value !== 'lost').length;
  return { finished: alreadyEnded + ended, weightsMissing: errors.length > 0 };
}
