// npm run bench:scale [-- --turns 4 --episodes 100,1000,10000,100000]
// Episodes in flight at once, in virtual time and without a model: the real rollout activity, deciders, claims and
// embedded log. A sampler answers the 64 calls that are due next together, so that a commit holds as many events
// whatever the number of episodes: what is left to differ is what that number costs.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerformanceObserver, constants } from 'node:perf_hooks';
import { setImmediate as nextTick } from 'node:timers/promises';
import { stageFold } from '../../dist/core/stage/stage.js';
import { openEmbeddedLogs } from '../../dist/services/adapters/log/embedded.js';
import { createRolloutActivities } from '../../dist/services/rollout/rollout-shard.js';
import { claimStream } from '../../dist/services/runtime/claimed-stream.js';
import { RUN } from './events.mjs';

const option = (name, or) => { const at = process.argv.indexOf(name); return at < 0 ? or : process.argv[at + 1]; };
const TURNS = Number(option('--turns', '4'));
const SIZES = option('--episodes', '100,1000,10000,100000').split(',').map(Number);
const PER_WORKER = 10;
const DUE_TOGETHER = 64;
/** A small number of episodes is played again and again until it costs enough to be measured; and first, unmeasured, until the code is compiled. */
const LEAST_EVENTS = 200_000;
const WARM_UP_EVENTS = 60_000;
const REPORT_EVERY = 500_000;
const eventsOf = (episodes) => episodes * (2 * TURNS + 3);
const nothing = () => undefined;
const NEVER = new AbortController().signal;

/** The collector's pauses of the main thread, without those that this bench asks for; its helpers count as others. */
let pausedUs = 0;
const collections = new PerformanceObserver((list) => countPauses(list.getEntries()));
collections.observe({ entryTypes: ['gc'] });

console.log(`| episodes in flight | workers | turns each | events | virtual s | CPU µs an event | against the first | main thread, without pauses | against the first | its pauses for collection | log's thread | others (collection) | memory KiB an episode | bytes of log an event |\n|${'---|'.repeat(14)}`);
for (let warmed = 0; warmed < WARM_UP_EVENTS; warmed += eventsOf(200)) await play(200, false);
let first;
let firstOwn;
for (const episodes of SIZES) {
  const total = { events: 0, costUs: 0, mainUs: 0, pauseUs: 0, logUs: 0, virtualMs: 0, bytes: 0, fileBytes: 0 };
  if (eventsOf(episodes) < LEAST_EVENTS) total.bytes = (await play(episodes, true)).bytes;
  do {
    const { events, costUs, mainUs, pauseUs, logUs, virtualMs, bytes, fileBytes } = await play(episodes, eventsOf(episodes) >= LEAST_EVENTS);
    Object.assign(total, {
      events: total.events + events, costUs: total.costUs + costUs, mainUs: total.mainUs + mainUs, pauseUs: total.pauseUs + pauseUs, logUs: total.logUs + logUs,
      virtualMs, bytes: Math.max(total.bytes, bytes), fileBytes: total.fileBytes + fileBytes,
    });
  } while (total.events < LEAST_EVENTS);
  const cost = total.costUs / total.events;
  const [main, pauses, writer] = [total.mainUs / total.events, total.pauseUs / total.events, total.logUs / total.events];
  const own = main - pauses;
  first ??= cost;
  firstOwn ??= own;
  console.log(`| ${episodes} | ${episodes / PER_WORKER} | ${TURNS} | ${total.events} | ${(total.virtualMs / 1000).toFixed(0)} | ${cost.toFixed(0)} | ${(cost / first).toFixed(2)} | ${own.toFixed(0)} | ${(own / firstOwn).toFixed(2)} | ${pauses.toFixed(0)} | ${writer.toFixed(0)} | ${(cost - main - writer).toFixed(0)} | ${(total.bytes / episodes / 1024).toFixed(1)} | ${(total.fileBytes / total.events).toFixed(0)} |`);
}

/** Twice: buffers are given back by the second. */
function collect() {
  globalThis.gc?.();
  globalThis.gc?.();
}

/** `weighed`: its memory is measured, which takes collections that would cost a small number of episodes more than it does itself. */
async function play(episodes, weighed) {
  const directory = mkdtempSync(join(tmpdir(), 'stemma-scale-'));
  const threads = threadsUs();
  const logs = await openEmbeddedLogs(directory);
  const log = await logs.open(RUN, 'write');
  const logThread = [...threadsUs().keys()].find((thread) => !threads.has(thread));
  const counted = { events: 0, open: 0, settled: nothing };
  const counting = { ...log, append: async (events) => {
    counted.open += 1;
    counted.events += events.length;
    try { return await log.append(events); } finally { if ((counted.open -= 1) === 0) counted.settled(); }
  } };
  await request(log, episodes);
  const clock = virtualSampler();
  const { rolloutShard } = createRolloutActivities({
    contexts: { get: async () => context(counting) }, sampler: clock.sampler, logger: { warn: nothing }, holder: 'bench', heartbeat: nothing,
    cancellation: () => NEVER,
    metrics: { sampled: nothing, changedWeights: nothing, acted: nothing, aborted: nothing, ended: nothing, running: nothing },
  });
  if (weighed) collect();
  const held = () => { const { heapUsed, arrayBuffers } = process.memoryUsage(); return heapUsed + arrayBuffers; };
  const before = held();
  const cpu = usedUs();
  const cpuOf = threadsUs();
  await pausesSoFar();
  const pausedBefore = pausedUs;
  const shards = Array.from({ length: episodes / PER_WORKER }, (_, worker) => rolloutShard({ run: RUN, stage: 'rl', step: 1 + Math.floor(worker / 10), round: 0, from: (worker % 10) * PER_WORKER, to: (worker % 10 + 1) * PER_WORKER }));
  let bytes = 0;
  let measuring = 0;
  let finished = false;
  let reported = 0;
  const done = Promise.all(shards).then((results) => { finished = true; return results; });
  while (!finished) {
    await nextTick();
    // Waited for, not looked at again and again: that would count as cost.
    if (counted.open > 0) {
      await new Promise((resolve) => { counted.settled = resolve; });
      continue;
    }
    if (counted.events - reported >= REPORT_EVERY) {
      reported = counted.events;
      console.error(`${new Date().toISOString()} ${episodes} episodes: ${reported} of ${eventsOf(episodes)} events, CPU ${((usedUs() - cpu) / reported).toFixed(1)} us an event so far, resident ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`);
    }
    if (weighed && bytes === 0 && clock.answered() >= episodes * (TURNS - 1)) {
      // Near the end of all of them, and without what nobody holds any more.
      const from = usedUs();
      collect();
      bytes = held() - before;
      measuring = usedUs() - from;
    }
    clock.advance();
  }
  const ended = (await done).reduce((sum, result) => sum + result.finished, 0);
  const costUs = usedUs() - cpu - measuring;
  await pausesSoFar();
  const pauseUs = pausedUs - pausedBefore;
  const threadUs = (thread) => (threadsUs().get(thread) ?? 0) - (cpuOf.get(thread) ?? 0);
  const logUs = threadUs(logThread);
  const mainUs = threadUs(process.pid) - measuring;
  if (ended !== episodes) throw new Error(`${ended} of ${episodes} episodes ended`);
  await logs.close();
  const fileBytes = statSync(join(directory, `${RUN}.sqlite`)).size;
  rmSync(directory, { recursive: true });
  return { events: counted.events, costUs, mainUs, pauseUs, logUs, fileBytes, virtualMs: clock.now(), bytes };
}

function countPauses(entries) {
  for (const { duration, detail } of entries) if ((detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) === 0) pausedUs += duration * 1000;
}

/** Node tells of a collection in a later turn. */
async function pausesSoFar() {
  await nextTick();
  await nextTick();
  countPauses(collections.takeRecords());
}

/** Of all threads. */
function usedUs() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU time by thread, to a hundredth of a second; nothing where the system does not say. */
function threadsUs() {
  const tasks = '/proc/self/task';
  if (!existsSync(tasks)) return new Map();
  return new Map(readdirSync(tasks).map((thread) => {
    const fields = readFileSync(join(tasks, thread, 'stat'), 'utf8').replace(/^.*\) /, '').split(' ');
    return [Number(thread), (Number(fields[11]) + Number(fields[12])) * 10_000];
  }));
}

/** Requests of 100 episodes each, as steps of a stage make them. */
async function request(log, episodes) {
  const stage = await claimStream(log, { stream: `stage/${RUN}/rl`, role: 'planner', holder: 'bench', run: RUN }, stageFold);
  for (let step = 1; step <= Math.ceil(episodes / 100); step += 1) {
    await stage.record({ $case: 'episodesRequested', value: {
      step, round: 0, purpose: 'train', weightsHash: 'w', weights: undefined, greedy: false, temperature: 1, protocol: '',
      episodes: Array.from({ length: 100 }, (_, sample) => ({ episode: `rl.${step}.0.${sample}`, domain: 'tools', task: `${step}/${sample}`, sample, seed: BigInt(step * 100 + sample) })),
    } });
  }
}

function context(log) {
  const tokens = Uint32Array.from({ length: 8 }, (_, at) => at + 20);
  const record = { state: [], action: { kind: 'tool', name: 'look', arguments: [] }, observation: 'nothing', verifier: null };
  const environment = {
    domain: 'tools', version: '1', resumable: true, taskId: nothing, demonstrate: () => [],
    task: (id) => ({ id, domain: 'tools', prompt: [], answer: '' }), start: () => 0,
    step: (_task, state) => ({ state: state + 1, observation: 'nothing', done: state + 1 >= TURNS, record }),
    verify: () => ({ correct: true, formatOk: true, answer: '', rubrics: [], rounds: TURNS, callKeys: [], fraction: 1 }),
  };
  return {
    log, environments: { tools: environment },
    recipe: { stages: [], budgets: { tools: { maxTurns: TURNS + 1, maxTurnTokens: 8, maxContextTokens: 1e6 } }, rewards: { tools: { correct: 1 } } },
    chat: { encodePrompt: () => tokens, encodeObservation: () => tokens, decode: () => 'look', stopTokenIds: [1], bannedTokenIds: [] },
  };
}

/** Each call takes 0.2 to 2 s of virtual time, by its seed. */
function virtualSampler() {
  const heap = [];
  let nowMs = 0;
  let answered = 0;
  const sample = ({ seed, weightsHash }) => new Promise((resolve) => push(heap, {
    at: nowMs + 200 + Number(seed % 1800n),
    answer: () => resolve({ tokens: Uint32Array.from([21, 22, 23, 24, 25, 26, 27, 1]), logprobs: new Float32Array(8).fill(-0.5), weightsHash, finish: 'stop' }),
  }));
  return {
    sampler: { sample, loadWeights: async () => undefined },
    now: () => nowMs, answered: () => answered,
    advance() {
      for (let due = 0; due < DUE_TOGETHER && heap.length > 0; due += 1) {
        const next = pop(heap);
        nowMs = next.at;
        answered += 1;
        next.answer();
      }
    },
  };
}

/** A binary heap by `at`. */
function push(heap, item) {
  let at = heap.push(item) - 1;
  for (let up = (at - 1) >> 1; at > 0 && heap[up].at > heap[at].at; at = up, up = (at - 1) >> 1) [heap[up], heap[at]] = [heap[at], heap[up]];
}

function pop(heap) {
  const top = heap[0];
  const last = heap.pop();
  if (heap.length === 0) return top;
  heap[0] = last;
  for (let at = 0; ;) {
    let least = at;
    for (let child = 2 * at + 1; child <= 2 * at + 2 && child < heap.length; child += 1) if (heap[child].at < heap[least].at) least = child;
    if (least === at) return top;
    [heap[least], heap[at]] = [heap[at], heap[least]];
    at = least;
  }
}
