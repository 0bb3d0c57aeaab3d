// npm run bench:overhead [-- --steps 80]   (nice -n -5 in front, where it may be)
// What metrics and what traces cost a step of RL and of distillation of the micro recipe. Two platforms in this process, without Temporal, run the same recipe
// with the same seed, so that step k of both is the same work; one takes it with, the other without, in alternating order and roles. Pairs of metrics and of
// traces alternate too. With metrics: all instruments count; without: prom-client is called and counts nothing. What a scrape takes is said apart, for most steps have none.
// Wall time, and beside it processor time of services and sidecars, which neighbours on the machine hardly change.
// With traces: all spans are made, and are sent to a collector in another process before the step's clock stops; metrics are on in both.
import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Counter, Gauge, Histogram } from 'prom-client';
import { stringify } from 'yaml';
import { composeServices } from '../../dist/services/all-in-one/compose.js';
import { readConfig } from '../../dist/services/runtime/config.js';
import { createLogger } from '../../dist/services/runtime/logger.js';
import { serveObserved } from '../../dist/services/runtime/observed.js';
import { loadRecipe } from '../../dist/services/runtime/recipe-schema.js';
import { registerRunMetrics } from '../../dist/services/runtime/run-metrics.js';
import { startSdk } from '../../dist/services/runtime/tracing/sdk.js';
import { inSpan, setTracers } from '../../dist/services/runtime/tracing/spans.js';
import { createRunViews } from '../../dist/services/worker/run-views.js';

/** Takes what it is sent, in a process of its own. */
function collect() {
  const server = createServer((request, response) => request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()));
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

async function bench() {
  const at = process.argv.indexOf('--steps');
  const steps = at < 0 ? 80 : Number(process.argv[at + 1]);
  const scratch = mkdtempSync(join(tmpdir(), 'stemma-overhead-'));
  const collector = fork(import.meta.filename, ['collector']);
  const port = await new Promise((resolve) => collector.once('message', resolve));
  const sdk = await startSdk({ endpoint: `http://127.0.0.1:${port}/v1/traces`, protocol: 'http/protobuf', headers: {} }, 'bench', (error) => { throw error; });
  const sides = [];
  try {
    sides.push(...await Promise.all(['a', 'b'].map((name) => openSide(join(scratch, name), steps))));
    const pairs = { metrics: [], traces: [] };
    for (const id of ['sft', 'search-rl', 'science-sft1', 'science-sft2', 'instruction-rl1', 'instruction-rl2', 'tools-sft', 'tools-rl', 'distill']) {
      const measured = id === 'search-rl' || id === 'distill';
      for (const side of sides) await side.begin(id);
      if (measured) for (let k = 0; k < steps; k += 1) await pair(k, { id, sides, pairs, sdk });
      for (const side of sides) await side.end();
    }
    console.log(`load ${loadavg().map((load) => load.toFixed(0)).join(' ')} on ${availableParallelism()} cores`);
    for (const [what, goal] of [['metrics', 1.02], ['traces', 1.05]]) {
      for (const kind of ['search-rl', 'distill', 'all']) say(what, kind, pairs[what].filter((each) => kind === 'all' || each.id === kind), kind === 'all' ? goal : undefined);
    }
    await sayScrape(sides[0]);
    const [a, b] = await Promise.all(sides.map((side) => side.weights()));
    console.log(a === b ? `both sides end in the same weights, ${a.slice(0, 8)}…` : `THE SIDES DIFFER: ${a} ${b}`);
  } finally {
    for (const side of sides) await side.close();
    await sdk.shutdown();
    collector.kill();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Step k of both sides: k's lowest bit chooses what is measured, the next who goes first, the next who has it on. */
async function pair(k, { id, sides, pairs, sdk }) {
  const what = k & 1 ? 'traces' : 'metrics';
  const order = k & 2 ? [0, 1] : [1, 0];
  const wall = {};
  const processor = {};
  for (const which of order) {
    const on = which === (k & 4 ? 0 : 1);
    const side = sides[which];
    counts = what === 'traces' || on;
    setTracers(what === 'traces' && on ? sdk.tracers : undefined);
    const startedMs = performance.now();
    const startedNs = side.processorNs();
    await inSpan('bench', {}, () => side.step());
    if (what === 'traces' && on) await sdk.flush();
    wall[on ? 'on' : 'off'] = performance.now() - startedMs;
    processor[on ? 'on' : 'off'] = (side.processorNs() - startedNs) / 1e6;
    setTracers(undefined);
  }
  counts = true;
  // The first steps load models and warm up.
  if (k >= 4) pairs[what].push({ id, wall, processor });
}

let counts = true;
// Once and for good: functions that changed with each step would be optimized anew with each.
for (const [{ prototype }, method] of [[Counter, 'inc'], [Gauge, 'inc'], [Gauge, 'dec'], [Gauge, 'set'], [Histogram, 'observe']]) {
  const original = prototype[method];
  prototype[method] = function counted(...values) {
    return counts ? original.apply(this, values) : undefined;
  };
}

const SCRAPE_EVERY_MS = 15_000;

/** Processor time of a scrape at the end of the run, when the page is longest. */
async function sayScrape(side) {
  const took = [];
  for (let i = 0; i < 21; i += 1) {
    const startedNs = side.processorNs();
    await side.scrape();
    took.push((side.processorNs() - startedNs) / 1e6);
  }
  const ms = took.sort((x, y) => x - y)[10];
  console.log(`a scrape takes ${ms.toFixed(0)} ms of processor time (median of 21): ${(100 * ms / SCRAPE_EVERY_MS).toFixed(2)} % of one core at one in ${SCRAPE_EVERY_MS / 1000} s`);
}

async function openSide(home, steps) {
  mkdirSync(home, { recursive: true });
  const base = structuredClone(await loadRecipe('micro'));
  const recipe = { ...base, stages: base.stages.map((stage) => ({ ...stage, evaluate: false, ...(stage.id === 'search-rl' || stage.id === 'distill' ? { steps } : {}) })) };
  const file = join(home, 'recipe.yaml');
  writeFileSync(file, stringify(recipe));
  const config = { ...readConfig(), home, blobs: join(home, 'blobs'), threads: 1 };
  const logger = createLogger({ service: 'bench', level: 'warn', file: '' });
  const { registry, metrics } = await serveObserved(config, { tls: null });
  const services = await composeServices({ config, registry, logger, heartbeat: () => undefined, cancellation: () => new AbortController().signal });
  const views = createRunViews({ ...services, logger });
  registerRunMetrics(registry, () => views.current());
  const { learner, distiller, rollout, worker } = services.activities;
  const run = 'bench';
  const plan = await learner.openRun(run, { recipe: file, seed: 1 });
  views.follow(run);
  let ref;
  let advance;
  let needs;
  const rollOut = async () => { if (needs.kind === 'rollouts') await Promise.all(needs.shards.map((shard) => rollout.rolloutShard(shard))); };
  const side = {
    async begin(id) {
      const { kind } = plan.stages.find((stage) => stage.id === id);
      ref = { run, stage: id };
      advance = { sft: () => learner.advanceSft(ref), rl: () => learner.advanceRl(ref), distill: () => distiller.advanceDistill(ref) }[kind];
      await worker.startStage(ref);
      needs = await advance();
    },
    /** Its rollouts, its learning, and asking for the next. Until the step is another one, for a step may ask for more. */
    async step() {
      const { step } = needs;
      while (needs.kind !== 'done' && needs.step === step) {
        await rollOut();
        needs = await advance();
      }
    },
    async end() {
      while (needs.kind !== 'done') await side.step();
      await worker.finishStage(ref);
    },
    scrape: () => fetch(metrics.url).then((response) => response.text()),
    /** Of this process and of the side's sidecar, all threads. */
    processorNs: () => [process.pid, services.sidecar.pid()].map(processorNs).reduce((sum, ns) => sum + ns, 0),
    weights: async () => (await worker.finishRun(run)).weightsHash,
    async close() {
      await views.close();
      await services.close();
      await metrics.close();
    },
  };
  return side;
}

/** Nanoseconds on a processor so far. Linux only. */
function processorNs(pid) {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    try {
      return sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      return sum; // It ended meanwhile.
    }
  }, 0);
}

function say(what, kind, pairs, goal) {
  for (const measure of ['wall', 'processor']) {
    const times = pairs.map((pair) => pair[measure]);
    const ratios = times.map(({ on, off }) => on / off).sort((x, y) => x - y);
    const off = times.map((time) => time.off).sort((x, y) => x - y)[Math.floor(times.length / 2)];
    const median = ratios.length % 2 ? ratios[(ratios.length - 1) / 2] : (ratios[ratios.length / 2 - 1] + ratios[ratios.length / 2]) / 2;
    const judged = goal === undefined ? '' : `  goal under ${goal}: ${median < goal ? 'met' : 'NOT met'}`;
    console.log(`${what.padEnd(8)} ${kind.padEnd(10)} ${measure.padEnd(9)} ${String(ratios.length).padStart(3)} pairs  median ratio ${median.toFixed(4)}  95 % ${interval(ratios)}  without: ${off.toFixed(0)} ms a step${judged}`);
  }
}

/** Covers the true median 95 times of 100, by order statistics of sorted values: no shape is assumed. */
function interval(sorted) {
  const n = sorted.length;
  // The largest l whose binomial tail P(X < l), X ~ B(n, 1/2), is at most 2.5 %.
  let l = 0;
  for (let tail = 0.5 ** n, term = tail; tail <= 0.025; tail += term) { l += 1; term *= (n - l + 1) / l; }
  return l === 0 ? 'too few pairs' : `${sorted[l - 1].toFixed(4)} to ${sorted[n - l].toFixed(4)}`;
}

if (process.argv[2] === 'collector') collect();
else await bench();
