/**
 * Scores finished episodes by their domain's teacher, or by the reference model. What is recorded is reused:
 * a score is a pure function of (scorer, tokens, positions, k), and its fact on the episode's stream is the memo.
 */
import { DOMAINS, type Domain } from '../../core/environment.js';
import { episodeFold, isUsable, scoreKey, type EpisodeState } from '../../core/episode/episode.js';
import { trajectoryOf, type Trajectory } from '../../core/episode/trajectory.js';
import { StemmaError } from '../../core/errors.js';
import { episodeStream } from '../../core/log/keys.js';
import type { Scorer } from '../../core/ports.js';
import type { EpisodeScored } from '../../proto/gen/stemma/v1/events.js';
import { claimStreams, type ClaimedStream } from '../runtime/claimed-stream.js';
import { readFold } from '../runtime/record-fact.js';
import type { RunContext } from '../runtime/run-context.js';
import { settleAll } from '../runtime/settle-all.js';
import type { EpisodeScoring, ScoringRequest, TeacherScoring } from '../training/scoring.js';
import type { RouteScorer, ScorerRoute } from '../training/routing.js';
import { planChunks } from './chunks.js';
import type { ScoringMetrics } from './metrics.js';
import { scorePatiently } from './patient-scorer.js';

const DEFAULT_PATIENCE_MS = 60_000;

export interface TeacherScoringDeps {
  readonly contexts: { get(run: string): Promise<Pick<RunContext, 'log' | 'chat'>> };
  readonly scorer: Scorer;
  /** Explicit for every domain: 'none' leaves it unscored. Never a default. */
  readonly route: RouteScorer;
  readonly metrics: ScoringMetrics;
  readonly logger: { warn(fields: object, message: string): void };
  /** For people: service, host, process id. */
  readonly holder: string;
  readonly heartbeat?: () => void;
  /** How long a scorer that is away is waited for before the caller hears of it. */
  readonly scorerPatienceMs?: number;
}

interface Subject {
  readonly episode: string;
  readonly state: EpisodeState;
  readonly trajectory: Trajectory;
  readonly route: ScorerRoute | 'none';
}

type Routed = Subject & { readonly route: ScorerRoute };

/** Answers in the order asked. An episode of a domain routed to 'none', or of another part, has neither a score nor a failure. */
export function createTeacherScoring(deps: TeacherScoringDeps): TeacherScoring {
  return { scoreEpisodes: (request) => scoreEpisodes(deps, request) };
}

async function scoreEpisodes(deps: TeacherScoringDeps, request: ScoringRequest): Promise<readonly EpisodeScoring[]> {
  const subjects = await readSubjects(deps, request);
  const routed = subjects.filter((subject): subject is Routed => subject.route !== 'none');
  // Planned over all of them whatever the part: so a table is the same, whoever makes it and however many share the work.
  const chunks = planChunks(routed, ({ route }) => `${route.weightsHash}/${route.topK}`, ({ trajectory }) => trajectory.tokens.length)
    .filter((_, index) => index % (request.parts ?? 1) === (request.part ?? 0));
  const answers = new Map<string, EpisodeScoring>();
  const settling: Promise<void>[] = [];
  for (const chunk of chunks) {
    // While one chunk is recorded the next is scored; no more at once, for a table is up to a hundred megabytes.
    await settling.at(-2);
    const settled = settleChunk(deps, request, chunk).then((settledAnswers) => {
      settledAnswers.forEach((answer) => answers.set(answer.episode, answer));
      deps.heartbeat?.();
    });
    settled.catch(() => undefined); // Awaited by the chunk after the next, or below.
    settling.push(settled);
  }
  await Promise.all(settling);
  return request.episodes.map((episode) => answers.get(episode) ?? { episode });
}

async function readSubjects(deps: TeacherScoringDeps, { run, stage, purpose, episodes, step }: ScoringRequest): Promise<readonly Subject[]> {
  const { log } = await deps.contexts.get(run);
  const routes = new Map<string, Promise<ScorerRoute | 'none'>>();
  return Promise.all([...new Set(episodes)].map(async (episode) => {
    const { state } = await readFold(log, episodeStream(run, episode), episodeFold);
    if (!isUsable(state) || state.started === undefined) {
      throw new StemmaError('scorer', 'INVALID', `episode ${episode} cannot be scored: it is ${state.status}`, 'Ask for scores once an episode is completed or truncated.');
    }
    const domain = knownDomain(state.started.domain, episode);
    const route = routes.get(domain) ?? deps.route({ run, stage, purpose, domain, step });
    routes.set(domain, route);
    return { episode, state, trajectory: trajectoryOf(state), route: await route };
  }));
}

function knownDomain(domain: string, episode: string): Domain {
  const known = DOMAINS.find((name) => name === domain);
  if (known !== undefined) return known;
  throw new StemmaError('recipe', 'INVALID', `episode ${episode} is of domain '${domain}', which no scorer is routed to`, `Domains are ${DOMAINS.join(', ')}.`);
}

/** What the stream already says of this scorer and k. */
function recorded({ episode, state, route }: Routed, purpose: string): EpisodeScoring | undefined {
  const key = scoreKey(purpose, route.weightsHash);
  const score = state.scores.get(key);
  if (score !== undefined && score.topK === route.topK) {
    return { episode, scored: { purpose, scorerWeightsHash: route.weightsHash, topK: score.topK, scores: score.scores, row: score.row } };
  }
  const failure = state.scoreFailures.get(key);
  return failure === undefined ? undefined : { episode, failure };
}

/** The whole chunk is scored even if some of it is recorded: the table a crash interrupted is then made again, bit for bit. */
async function settleChunk(deps: TeacherScoringDeps, request: ScoringRequest, chunk: readonly Routed[]): Promise<readonly EpisodeScoring[]> {
  const known = chunk.flatMap((subject) => recorded(subject, request.purpose) ?? []);
  deps.metrics.reused(request.purpose, known.length);
  if (known.length === chunk.length) return known;
  const startedMs = performance.now();
  const scored = await scoreChunk(deps, request, chunk);
  deps.metrics.chunk((performance.now() - startedMs) / 1000);
  const missing = chunk.flatMap((subject, index) => (recorded(subject, request.purpose) === undefined ? [{ subject, fact: scored[index]! }] : []));
  await recordScores(deps, request, missing);
  return [...known, ...missing.map(({ subject, fact }) => ({ episode: subject.episode, ...fact }))];
}

type ScoreOutcome = { readonly scored: EpisodeScored } | { readonly failure: string };

/** One answer a member. A refused chunk is tried member by member, so that one bad episode costs only itself. */
async function scoreChunk(deps: TeacherScoringDeps, request: ScoringRequest, chunk: readonly Routed[]): Promise<readonly ScoreOutcome[]> {
  const { route } = chunk[0]!;
  const { chat } = await deps.contexts.get(request.run);
  const outcome = await scorePatiently(deps.scorer, {
    weightsHash: route.weightsHash, topK: route.topK, validVocabulary: chat.vocabularySize, bannedTokenIds: chat.bannedTokenIds,
    samples: chunk.map(({ trajectory }) => ({ tokens: trajectory.tokens, positions: trajectory.generatedPositions })),
  }, { weights: route.weights, patience: patienceOf(deps, request) });
  if ('scores' in outcome) {
    const fact = { purpose: request.purpose, scorerWeightsHash: route.weightsHash, topK: route.topK, scores: outcome.scores };
    return chunk.map((_, row) => ({ scored: { ...fact, row } }));
  }
  if (chunk.length === 1) return [{ failure: outcome.refusal }];
  const alone: ScoreOutcome[] = [];
  for (const subject of chunk) alone.push(...await scoreChunk(deps, request, [subject]));
  return alone;
}

function patienceOf(deps: TeacherScoringDeps, { run, stage, purpose }: ScoringRequest) {
  return {
    withinMs: deps.scorerPatienceMs ?? DEFAULT_PATIENCE_MS,
    onRetry(error: StemmaError) {
      deps.logger.warn({ run, stage, purpose, code: error.code }, `waiting for the scorer: ${error.message}`);
      deps.heartbeat?.();
    },
  };
}

interface Missing {
  readonly subject: Routed;
  readonly fact: ScoreOutcome;
}

async function recordScores(deps: TeacherScoringDeps, { run, purpose }: ScoringRequest, missing: readonly Missing[]): Promise<void> {
  const { log } = await deps.contexts.get(run);
  const streams = await claimStreams(
    log,
    missing.map(({ subject }) => ({ stream: episodeStream(run, subject.episode), role: 'scorer' as const, holder: deps.holder, run })),
    episodeFold,
  );
  await settleAll(missing.map(({ subject, fact }, index) => recordScore(streams[index]!, purpose, { subject, fact })));
  const scored = missing.filter(({ fact }) => 'scored' in fact);
  deps.metrics.scored(purpose, scored.length, scored.reduce((sum, { subject }) => sum + subject.trajectory.generatedPositions.length, 0));
  deps.metrics.failed(purpose, missing.length - scored.length);
}

async function recordScore(stream: ClaimedStream<EpisodeState>, purpose: string, { subject, fact }: Missing): Promise<void> {
  await stream.record('scored' in fact
    ? { $case: 'episodeScored', value: fact.scored }
    : { $case: 'scoreFailed', value: { purpose, scorerWeightsHash: subject.route.weightsHash, reason: fact.failure } });
  // A batch is closed on the answer: it must name scores that count.
  await stream.assertHeld();
}
