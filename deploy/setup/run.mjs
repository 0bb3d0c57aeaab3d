// The order of the set-up steps: three independent lanes side by side.
import { killCommands } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { STATE, TOOLCHAIN } from './layout.mjs';
import { withLock } from './lock.mjs';
import { prepareChromium } from './chromium-step.mjs';
import { prepareCluster } from './cluster-step.mjs';
import { prepareKafka } from './kafka-step.mjs';
import { prepareKube } from './kube-step.mjs';
import { prepareKueue } from './kueue-step.mjs';
import { prepareKwok } from './kwok-step.mjs';
import { prepareMinio } from './minio-step.mjs';
import { compile, generateTypeScript, installPackages } from './node-steps.mjs';
import { createProgress, duration } from './progress.mjs';
import { preparePrometheus } from './prometheus-step.mjs';
import { buildKernels, generatePython, preparePython } from './python-steps.mjs';
import { readJson, textOf, writeWhole } from './stamp.mjs';
import { prepareTemporal } from './temporal-step.mjs';
import { join } from 'node:path';

/** @import { Tool } from './python-steps.mjs' */
/** @typedef {'packages' | 'generate' | 'compile' | 'python' | 'temporal' | 'kafka' | 'minio' | 'kube' | 'cluster' | 'kueue' | 'kwok' | 'prometheus' | 'chromium' | 'lint'} Part */
/** @typedef {{ node?: string, python?: string, temporal?: string, java?: string, kafka?: string, minio?: string, kube?: string, cluster?: string, kueue?: string, kwok?: string, prometheus?: string, chromium?: string, ruff?: string, versions: Record<string, string>, sources: Record<string, string> }} Toolchain */
/** @typedef {{ toolchain: Toolchain, missing: Map<Part, SetupFailure>, seconds: Record<string, number> }} Outcome */

/** What a run needs; `lint` is for `npm run check` only, `kafka` for `npm run kafka` and tests, `minio`, `kube`, `kueue`, `prometheus` and `chromium` for tests, `cluster` beside `kube` for `npm run cluster`, `kwok` for a bench on simulated nodes: users bring their own brokers, buckets and clusters. @type {readonly Part[]} */
export const ALL = ['packages', 'generate', 'compile', 'python', 'temporal'];
/** @type {readonly Part[]} */
const EXTRA = ['kafka', 'minio', 'kube', 'kueue', 'cluster', 'kwok', 'prometheus', 'chromium', 'lint'];

/**
 * @param {readonly Part[]} parts
 * @param {readonly Part[]} mayFail parts whose failure is reported in `missing` instead of thrown
 * @returns {Promise<Outcome>}
 */
export async function setUp(parts = ALL, mayFail = []) {
  const startedAt = performance.now();
  const progress = createProgress();
  /** @type {Map<Part, SetupFailure>} */
  const missing = new Map();
  /** @param {Part} part @param {() => Promise<void>} body */
  const attempt = async (part, body) => {
    if (!parts.includes(part)) return;
    try {
      await body();
    } catch (error) {
      if (!(error instanceof SetupFailure) || !mayFail.includes(part)) throw error;
      missing.set(part, error);
      progress.say(`${part}: not available: ${error.message.split('\n')[0]}`);
    }
  };
  /** @type {Partial<Record<'python' | 'temporal' | 'lint' | 'kafka' | 'java' | 'minio' | 'kube' | 'cluster' | 'kueue' | 'kwok' | 'prometheus' | 'chromium', Tool>>} */
  const tools = {};
  const undo = onSignals();
  const lanes = withLock(join(STATE, 'lock'), { onWait: (holder) => progress.say(`another set-up works in this tree (${holder}), waiting for it`) }, async () => {
    const done = await Promise.allSettled([
      (async () => {
        await attempt('packages', () => installPackages(progress));
        await attempt('generate', () => generateTypeScript(progress));
        await attempt('compile', () => compile(progress));
        // Last here: it may need one of the packages.
        await attempt('chromium', async () => { tools.chromium = await prepareChromium(progress); });
      })(),
      attempt('python', async () => {
        tools.python = await preparePython(progress);
        await generatePython(progress, tools.python);
        await buildKernels(progress, tools.python);
      }),
      attempt('lint', async () => { tools.lint = await preparePython(progress, 'requirements-lint'); }),
      attempt('temporal', async () => { tools.temporal = await prepareTemporal(progress); }),
      attempt('kafka', async () => { Object.assign(tools, await prepareKafka(progress)); }),
      attempt('minio', async () => { tools.minio = await prepareMinio(progress); }),
      (async () => {
        // One after the other: what both are made of is compiled once.
        await attempt('kube', async () => { tools.kube = await prepareKube(progress); });
        await attempt('cluster', async () => { tools.cluster = await prepareCluster(progress); });
      })(),
      attempt('kueue', async () => { tools.kueue = await prepareKueue(progress); }),
      attempt('kwok', async () => { tools.kwok = await prepareKwok(progress); }),
      attempt('prometheus', async () => { tools.prometheus = await preparePrometheus(progress); }),
    ]);
    for (const lane of done) if (lane.status === 'rejected') throw lane.reason;
    return writeToolchain(tools);
  });
  const toolchain = await lanes.finally(undo);
  const seconds = progress.seconds();
  const took = duration(performance.now() - startedAt);
  process.stderr.write(`Set-up ${Object.keys(seconds).length === 0 ? 'is up to date' : 'is done'} (${took}): ${inventory(toolchain, missing)}\n`);
  return { toolchain, missing, seconds };
}

/** What a user reads at the end. @param {Toolchain} toolchain @param {ReadonlyMap<Part, SetupFailure>} missing @returns {string} */
function inventory(toolchain, missing) {
  const { node, ...others } = toolchain.versions;
  const python = missing.has('python') ? undefined : others['python'];
  const temporal = missing.has('temporal') ? undefined : others['temporal'];
  return `Node ${node}${python ? `, Python ${python}` : ''}${temporal ? `, Temporal server ${temporal}` : ''}${missing.size > 0 ? `; not available: ${[...missing.keys()].join(', ')}` : ''}`;
}

/**
 * .stemma/toolchain.json is what the services read; a partial set-up keeps what an earlier one found.
 * @param {Partial<Record<'python' | 'temporal' | 'lint' | 'kafka' | 'java' | 'minio' | 'kube' | 'cluster' | 'kueue' | 'kwok' | 'prometheus' | 'chromium', Tool>>} tools @returns {Toolchain}
 */
function writeToolchain(tools) {
  /** @type {Toolchain} */
  const before = readJson(TOOLCHAIN);
  /** @type {Toolchain} */
  const toolchain = { ...before, node: process.execPath, versions: { ...before.versions, node: process.versions.node }, sources: { ...before.sources } };
  for (const [name, tool] of Object.entries(tools)) {
    const key = name === 'lint' ? 'ruff' : /** @type {'python' | 'temporal' | 'java' | 'kafka' | 'minio' | 'kube' | 'cluster' | 'kueue' | 'kwok' | 'prometheus' | 'chromium'} */ (name);
    toolchain[key] = name === 'lint' ? join(tool.executable, '..', 'ruff') : tool.executable;
    toolchain.sources[key] = tool.source;
    if (key !== 'ruff') toolchain.versions[key] = tool.version;
  }
  const text = `${JSON.stringify(toolchain, null, 2)}\n`;
  if (text !== textOf(TOOLCHAIN)) writeWhole(TOOLCHAIN, text);
  return toolchain;
}

/** A signal ends the children too and, through process exit, frees the locks. @returns {() => void} removes the handlers */
function onSignals() {
  /** @param {NodeJS.Signals} signal */
  const stop = (signal) => {
    killCommands();
    process.stderr.write(`\nSet-up was interrupted; the same command goes on from here.\n`);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return () => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
}

/** Prints a failure the way a person can use it. @param {unknown} error @returns {number} the exit code */
export function explain(error) {
  if (!(error instanceof SetupFailure)) throw error;
  process.stderr.write(`\nSet-up failed. ${error.message}\n→ ${error.remedy}\n`);
  return 1;
}

/** @param {readonly string[]} args @returns {Promise<number>} the exit code */
export async function runSetupCommand(args) {
  const only = args.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
  const parts = /** @type {readonly Part[]} */ (only === undefined ? ALL : only.split(','));
  const unknown = parts.find((part) => !EXTRA.includes(part) && !ALL.includes(part));
  if (unknown !== undefined) {
    process.stderr.write(`--only: there is no part "${unknown}"; there are ${[...ALL, ...EXTRA].join(', ')}\n`);
    return 1;
  }
  try {
    await setUp(parts);
    return 0;
  } catch (error) {
    return explain(error);
  }
}
