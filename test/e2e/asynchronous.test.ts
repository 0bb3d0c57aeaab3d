/**
 * Asynchronous training with real parts: rollouts run ahead of the learner within the bound, also over a kill -9 in the middle;
 * the ledger is clean and the run recomputes from its log.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { episodeFold } from '../../core/episode/episode.js';
import { trajectoryOf, type Trajectory } from '../../core/episode/trajectory.js';
import type { RecordedTurn } from '../../core/episode/turn.js';
import { unpackF32 } from '../../core/log/bytes.js';
import { episodeStream, runStream, stageStream } from '../../core/log/keys.js';
import type { StoredEvent } from '../../core/ports.js';
import { stageFactsFold, type StageFacts } from '../../core/projection/facts.js';
import { runFold } from '../../core/run/run.js';
import { stalenessOf, staleTokens, versionsBefore } from '../../core/stage/staleness.js';
import { Batch, type LossTerm } from '../../proto/gen/stemma/v1/data.js';
import type { EpisodeRequest } from '../../proto/gen/stemma/v1/events.js';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { readFold } from '../../services/runtime/record-fact.js';
import { newHome } from '../support/homes.js';
import { cli, startRun, type QuickstartResult } from '../support/quickstart.js';
import { whenStanding } from '../support/stage-watch.js';

const MICRO = resolve(import.meta.dirname, '../../recipes/micro.yaml');
const RUN = 'ahead-s1-1';
interface Setting {
  /** The stage of micro that it is a copy of; itself by default. */
  readonly like?: string;
  /** In the place of that stage's. */
  readonly domain?: string;
  readonly asynchronous: { readonly maxStaleness: number; readonly ahead?: number; readonly onStale?: string; readonly importanceCap?: number; readonly inFlight?: string };
  /** What no member of a batch may exceed. */
  readonly bound: number;
  /** STEPS by default. */
  readonly steps?: number;
}

/** instruction-rl1 samples dynamically: it asks for more within a step while later ones are in flight. */
const STAGES: { readonly [stage: string]: Setting } = {
  'search-rl': { asynchronous: { maxStaleness: 1 }, bound: 1 },
  'instruction-rl1': { asynchronous: { maxStaleness: 2 }, bound: 2 },
  weighting: { like: 'search-rl', asynchronous: { maxStaleness: 0, ahead: 2, onStale: 'weight', importanceCap: 2, inFlight: 'inside-turn' }, bound: 2 },
  inside: { like: 'search-rl', domain: 'tools', asynchronous: { maxStaleness: 1, inFlight: 'inside-turn' }, bound: 1, steps: 16 },
  dropping: { like: 'search-rl', asynchronous: { maxStaleness: 0, ahead: 1, onStale: 'drop' }, bound: 0 },
  distill: { asynchronous: { maxStaleness: 1 }, bound: 1 },
};
const STEPS = 4;
const KILLED_IN = ['search-rl', 'weighting', 'inside', 'dropping'];

/** Of the stage `inside`: a round takes longer than a step, so that steps end inside turns. */
const LONG_TURNS = { maxTurns: 2, maxTurnTokens: 240, maxContextTokens: 384 };

interface RecipeFile {
  budgets: object;
  stages: { id: string }[];
}

/** micro cut to SFT and stages that run ahead of the learner. */
function writeRecipe(folder: string): string {
  const recipe = parse(readFileSync(MICRO, 'utf8')) as RecipeFile;
  const stage = (id: string) => recipe.stages.find((each) => each.id === id);
  const ahead = Object.entries(STAGES).map(([id, { like = id, domain, asynchronous, steps = STEPS }]) => (
    { ...stage(like), ...(domain && { domain }), id, evaluate: false, steps, asynchronous }));
  const file = join(folder, 'ahead.yaml');
  writeFileSync(file, stringify({
    ...recipe, name: 'ahead', budgets: { ...recipe.budgets, tools: LONG_TURNS }, stages: [{ ...stage('sft'), evaluate: false }, ...ahead],
    teachers: { search: 'search-rl', science: 'none', instruction: 'instruction-rl1', tools: 'none' },
  }, { aliasDuplicateObjects: false }));
  return file;
}

const home = newHome();
const killed: QuickstartResult['signal'][] = [];
let finished: QuickstartResult;

beforeAll(async () => {
  const recipe = writeRecipe(home);
  for (const stage of KILLED_IN) {
    const running = startRun(home, recipe);
    // A step is learned and the next two are asked for: episodes are in flight over a change of weights.
    await whenStanding({ home, run: RUN, stage }, AbortSignal.timeout(240_000), (now) => now.stage.committed.length >= 1 && now.stage.requests.has(3));
    running.process.kill('SIGKILL');
    killed.push((await running.ended).signal);
  }
  finished = await startRun(home, recipe).ended;
}, 900_000);

describe('an asynchronous run', () => {
  it('goes on after kill -9 and finishes', () => {
    expect(killed).toEqual(KILLED_IN.map(() => 'SIGKILL'));
    expect(finished.code, finished.stderr).toBe(0);
  });

  it('has a clean ledger and is replayed IDENTICAL', async () => {
    const verified = await cli(home, ['verify', RUN]);
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    const replayed = await cli(home, ['replay', RUN]);
    expect(replayed.stdout, replayed.stderr).toContain('IDENTICAL');
  });

  it.each(Object.entries(STAGES))('%s: every turn is within the bound, and what is in flight is bounded', async (stage, { asynchronous, bound }) => {
    const { members, ahead, figure } = await measured(stage);
    const staleness = members.map((member) => member.staleness);
    expect(Math.max(...staleness)).toBeLessThanOrEqual(bound);
    if (bound > 0) expect(Math.max(...staleness)).toBeGreaterThan(0);
    expect(Math.max(...ahead)).toBe(asynchronous.ahead ?? asynchronous.maxStaleness);
    // What the run says of itself is what its episodes say.
    expect(figure('staleness')).toEqual({ sum: staleness.reduce((sum, each) => sum + each, 0), count: staleness.length });
  });

  it('weighting: exactly the tokens beyond the bound have truncated importance weights, from the log-probabilities their turns recorded', async () => {
    const { members, figure } = await measured('weighting');
    for (const { staleAt, trajectory, terms } of members) {
      const policies = terms.flatMap(({ kind, weights }) => (kind?.$case === 'policyGradient' ? [{ ...kind.value, at: positions(unpackF32(weights)) }] : []));
      expect(policies.flatMap(({ importanceCap, at }) => (importanceCap === undefined ? [] : at))).toEqual(staleAt);
      expect(policies.flatMap(({ at }) => at).sort((x, y) => x - y)).toEqual([...trajectory.generatedPositions]);
      for (const { oldLogprobs } of policies) expect(unpackF32(oldLogprobs)).toEqual(trajectory.logprobs);
    }
    expect(figure('weighted_members').sum).toBe(members.filter(({ staleAt }) => staleAt.length > 0).length);
    expect(figure('importance_weight').count).toBe(members.reduce((sum, { staleAt }) => sum + staleAt.length, 0));
    expect(figure('importance_weight').count).toBeGreaterThan(0);
    expect(figure('importance_weight').sum / figure('importance_weight').count).toBeLessThanOrEqual(2);
  });

  it('inside: weights change inside turns, whose tokens are each of the weights that their span names', async () => {
    const { members, stage } = await measured('inside');
    const versions = versionsBefore(Infinity, stage.requested[0]!.weightsHash, stage.committed);
    const changed = members.flatMap(({ turns }) => turns.filter(({ spans }) => spans.length > 1));
    expect(changed.length).toBeGreaterThan(0);
    for (const { spans, length } of changed) {
      expect(spans.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(length);
      const of = spans.map(({ weightsHash }) => versions.get(weightsHash)!);
      expect(of).toEqual([...new Set(of)].sort((x, y) => x - y));
    }
  });

  it('dropping: each stale episode says so, and its sample of its prompt is asked for again', async () => {
    const { stage, figure } = await measured('dropping');
    const rounds = stage.requested.filter(({ step, purpose }) => step > 0 && purpose === 'train');
    const requests = new Map(rounds.flatMap(({ episodes }) => episodes.map((each) => [each.episode, each])));
    const sampleOf = (request: EpisodeRequest | undefined): string => `${request?.task}#${request?.sample}`;
    const stale = [...new Set(stage.dropped.filter(({ reason }) => reason === 'stale').map(({ episode }) => episode))];
    expect(stale.length).toBeGreaterThan(0);
    const again = rounds.filter(({ round }) => round === 1).flatMap(({ episodes }) => episodes.map(sampleOf));
    expect(again.sort()).toEqual(stale.map((episode) => sampleOf(requests.get(episode))).sort());
    expect(figure('dropped_stale').sum).toBe(stale.length);
    expect(figure('dropped_tokens').count).toBe(stale.length);
    expect(figure('dropped_tokens').sum).toBeGreaterThan(0);
    expect(figure('kept_tokens').count).toBe(figure('dropped_stale').count - stale.length);
  });

  it('lineage names no dropped episode behind a weight', async () => {
    const { stage } = await measured('dropping');
    expect(stage.dropped.map(({ reason }) => reason)).toContain('stale');
    const lineage = await cli(home, ['lineage', stage.committed.at(-1)!.weightsHash]);
    expect(lineage.code, lineage.stderr).toBe(0);
    expect(lineage.stdout).toContain(stage.closed.at(-1)!.members[0]!.member);
    for (const { episode } of stage.dropped) expect(lineage.stdout.split(/[\s,]+/)).not.toContain(episode);
  });
});

interface Figure {
  readonly sum: number;
  readonly count: number;
}

interface Member {
  readonly turns: readonly RecordedTurn[];
  readonly trajectory: Trajectory;
  readonly terms: readonly LossTerm[];
  /** In steps, of its stalest token. */
  readonly staleness: number;
  /** Positions of the tokens of older weights than those it trains. */
  readonly staleAt: readonly number[];
}

interface Measured {
  readonly stage: StageFacts;
  /** Of all batches. */
  readonly members: readonly Member[];
  /** Of each request, how many steps beyond the next one it was for. */
  readonly ahead: readonly number[];
  readonly figure: (name: string) => Figure;
}

async function measured(id: string): Promise<Measured> {
  const logs = await openEmbeddedLogs(join(home, 'log'));
  const blobs = await openDirectoryBlobs(join(home, 'blobs'));
  try {
    const log = await logs.open(RUN, 'read');
    const { state: run } = await readFold(log, runStream(RUN), runFold);
    const { state: stage } = await readFold(log, stageStream(RUN, id), stageFactsFold);
    const parent = run.stages.get(id)?.started.parent?.weightsHash ?? '';
    const members = await Promise.all(stage.closed.map(async ({ step, batch }) => {
      const { samples } = Batch.decode(await blobs.get(batch!));
      const versions = versionsBefore(step, parent, stage.committed);
      return Promise.all(samples.map(async ({ member, terms }): Promise<Member> => {
        const { state } = await readFold(log, episodeStream(RUN, member), episodeFold);
        const trajectory = trajectoryOf(state);
        const behind = staleTokens(trajectory, { step, bound: 0 }, versions);
        return {
          trajectory, terms, turns: state.turns,
          staleness: stalenessOf(step, trajectory.sampledSpans.map(({ weightsHash }) => weightsHash), versions),
          staleAt: behind === undefined ? [] : positions(behind),
        };
      }));
    }));
    return { stage, members: members.flat(), ahead: stepsAhead(await log.readStream(stageStream(RUN, id))), figure: (name) => figureOf(stage, name) };
  } finally {
    await logs.close();
  }
}

function positions(of: ArrayLike<number>): number[] {
  return Array.from(of).flatMap((value, at) => (value === 0 ? [] : [at]));
}

function figureOf(stage: StageFacts, name: string): Figure {
  const stats = stage.committed.flatMap((commit) => commit.stats.filter((stat) => stat.name === name));
  return { sum: stats.reduce((sum, stat) => sum + stat.sum, 0), count: stats.reduce((sum, stat) => sum + stat.count, 0) };
}

function stepsAhead(stored: readonly StoredEvent[]): number[] {
  let committed = 0;
  return stored.flatMap(({ event: { payload } }) => {
    if (payload?.$case === 'stepCommitted') committed = payload.value.step;
    return payload?.$case === 'episodesRequested' && payload.value.purpose === 'train' ? [payload.value.step - committed - 1] : [];
  });
}
