/** Traces against reality: a platform that runs the micro recipe sends its spans to a real OTLP receiver, which decodes the official protocol. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newHome } from '../support/homes.js';
import { startOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.js';
import { cli, startUp, type Quickstart, type QuickstartResult } from '../support/quickstart.js';

const RUN = 'micro-s1-1';
/** A collector's key is a secret: it goes to the collector and nowhere else. */
const SECRET = 'otlp-key-5f1d';
const home = newHome();

let receiver: OtlpReceiver;
let platform: Quickstart;
let finished: QuickstartResult;
/** Of the run's trace, by span id. */
let spans: Map<string, ReceivedSpan>;

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  platform = startUp(home, [], { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.http, OTEL_EXPORTER_OTLP_HEADERS: `x-key=${SECRET}`, STEMMA_LOG_FILE: join(home, 'lines.jsonl') });
  await vi.waitFor(() => expect(platform.stderr()).toContain('gateway'), { timeout: 120_000, interval: 100 });
  const submitted = await cli(home, ['run', 'micro', '--seed', '1', '--json']);
  expect(submitted.code, submitted.stderr).toBe(0);
  finished = await cli(home, ['watch', RUN]);
  platform.process.kill('SIGINT');
  await platform.ended;
  const submit = receiver.spans.find(({ name }) => name === 'ControlService/SubmitRun');
  spans = new Map(receiver.spans.filter(({ traceId }) => traceId === submit?.traceId).map((span) => [span.spanId, span]));
}, 300_000);
afterAll(async () => {
  platform?.process.kill('SIGKILL');
  await receiver?.close();
});

function named(name: string, service?: string): ReceivedSpan[] {
  return [...spans.values()].filter((span) => span.name === name && (service === undefined || span.service === service));
}

/** From the span up to its root. */
function lineOf(span: ReceivedSpan): string[] {
  const above = spans.get(span.parentSpanId);
  return [`${span.service.replace('stemma-', '')} ${span.name}`, ...(above === undefined ? [] : lineOf(above))];
}

describe('a traced run', () => {
  it('finishes', () => {
    expect(finished.code, finished.stderr + platform.stderr()).toBe(0);
  });

  it('is one tree, from the request that submitted it', () => {
    const roots = [...spans.values()].filter(({ parentSpanId }) => parentSpanId === '');
    expect(roots.map(({ name, kind }) => [name, kind])).toEqual([['ControlService/SubmitRun', 'server']]);
    expect([...spans.values()].filter(({ parentSpanId }) => parentSpanId !== '' && !spans.has(parentSpanId)).map(lineOf)).toEqual([]);
    for (const { endNs, startNs, name } of spans.values()) expect(endNs - startNs, name).toBeGreaterThanOrEqual(0n);
  });

  it.each([
    ['sft', ['all-in-one advanceSft', 'all-in-one sftStage']],
    ['search-rl', ['all-in-one step', 'all-in-one advanceRl', 'all-in-one rlStage']],
    ['distill', ['all-in-one step', 'all-in-one advanceDistill', 'all-in-one distillStage']],
  ])('leads from submit to each step that the sidecar takes in %s', (stage, between) => {
    const steps = named('TrainerService/Step', 'stemma-sidecar').filter(({ attributes }) => attributes['stemma.stage'] === stage);
    expect(new Set(steps.map(({ attributes }) => attributes['stemma.step']))).toEqual(new Set(stage === 'sft' ? ['1', '2', '3'] : ['1', '2']));
    for (const step of steps) {
      expect(step.attributes['stemma.run']).toBe(RUN);
      expect(step.kind).toBe('server');
      expect(lineOf(step)).toEqual([
        'sidecar TrainerService/Step', 'all-in-one TrainerService/Step', 'all-in-one learn', ...between, 'all-in-one trainingRun', 'all-in-one submit', 'all-in-one ControlService/SubmitRun',
      ]);
    }
  });

  it('has an episode\'s turns, each with the sidecar\'s sampling, and no span a token', () => {
    const samples = named('SamplerService/Sample', 'stemma-sidecar');
    const turns = named('turn');
    expect(samples.length).toBeGreaterThanOrEqual(turns.length);
    expect(turns.length).toBeGreaterThanOrEqual(named('episode').length);
    for (const { attributes } of samples) expect(Object.keys(attributes).filter((name) => name.startsWith('stemma.')).sort()).toEqual(['stemma.episode', 'stemma.run', 'stemma.stage', 'stemma.step', 'stemma.turn']);
    expect(lineOf(samples.find(({ attributes }) => attributes['stemma.stage'] === 'search-rl') as ReceivedSpan).slice(0, 4)).toEqual(['sidecar SamplerService/Sample', 'all-in-one turn', 'all-in-one episode', 'all-in-one standRollouts']);
    console.log(`spans of a micro run: ${spans.size}, of them ${turns.length} turns of ${named('episode').length} episodes; ${receiver.spans.length - spans.size} of other traces, ${receiver.requests.length} requests`);
    expect(spans.size).toBeLessThan(8 * turns.length);
  });

  it('goes through teacher scoring', () => {
    const score = named('ScorerService/Score', 'stemma-sidecar').find(({ attributes }) => attributes['stemma.stage'] === 'distill') as ReceivedSpan;
    expect(lineOf(score)).toEqual(expect.arrayContaining(['all-in-one TeacherScoringService/ScoreEpisodes', 'all-in-one step', 'all-in-one distillStage']));
  });

  it('carries no secret: keys reach whom they are for', () => {
    const token = readFileSync(join(home, 'gateway.token'), 'utf8').trim();
    expect(receiver.requests.every(({ headers }) => headers['x-key'] === SECRET)).toBe(true);
    for (const secret of [SECRET, token]) expect(receiver.text()).not.toContain(secret);
    expect(readFileSync(join(home, 'lines.jsonl'), 'utf8') + platform.stderr()).not.toContain(SECRET);
  });
});
