/**
 * Settles sizes: runs a recipe through the real services, log and sidecar, without Temporal, and prints what each
 * stage cost and what it learned. After `npm run setup`:
 *   node dist/services/all-in-one/settle-sizes.js RECIPE [--seed N] [--home DIR] [--until STAGE] [--set path=json …]
 * --set changes the recipe, e.g. --set stages.sft.steps=120; --until stops after that stage.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { stageStream } from '../../core/log/keys.js';
import { stageFactsFold } from '../../core/projection/facts.js';
import type { StepCommitted } from '../../proto/gen/stemma/v1/events.js';
import { readConfig } from '../runtime/config.js';
import { createLogger } from '../runtime/logger.js';
import { createRegistry } from '../runtime/metrics.js';
import { loadRecipe } from '../runtime/recipe-schema.js';
import { readFold } from '../runtime/record-fact.js';
import type { RunContext } from '../runtime/run-context.js';
import { readRun } from '../training/session.js';
import { composeServices } from './compose.js';
import { driveRun } from './drive-run.js';

const SHOWN = /^(loss|reward|correct|coverage|coverage\.\w+|kl|entropy|episode_tokens|generated_tokens|clip_fraction|gradient_norm)$/;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '1' }, home: { type: 'string' }, until: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
    },
  });
  const home = values.home ?? mkdtempSync(join(tmpdir(), 'stemma-lab-'));
  mkdirSync(home, { recursive: true });
  const recipe: unknown = structuredClone(await loadRecipe(positionals[0] ?? 'tiny'));
  values.set.forEach((setting) => assign(recipe, setting));
  const recipeFile = join(home, 'recipe.yaml');
  writeFileSync(recipeFile, stringify(recipe));
  const services = await composeServices({
    config: { ...readConfig(), home, blobs: join(home, 'blobs') }, registry: createRegistry({ processFigures: false }),
    logger: createLogger({ service: 'lab', level: 'warn', file: '' }), heartbeat: () => undefined, cancellation: () => new AbortController().signal,
  });
  const run = `lab-${process.pid}`;
  let lastBusy = 0;
  try {
    const weights = await driveRun({
      activities: services.activities, run, input: { recipe: recipeFile, seed: Number(values.seed) }, until: values.until,
      async onStage(stage, what, seconds) {
        const { busySeconds } = await services.trainer.status();
        const share = (100 * (busySeconds - lastBusy)) / seconds;
        lastBusy = busySeconds;
        const shown = what === 'evaluated' ? await accuracy(await services.contexts.get(run), stage) : await curve(await services.contexts.get(run), stage);
        process.stdout.write(`${stage.padEnd(16)} ${what.padEnd(9)} ${seconds.toFixed(1).padStart(6)} s  compute ${share.toFixed(0)} %  ${shown}\n`);
      },
    });
    process.stdout.write(`weights ${weights}\n`);
  } finally {
    await services.close();
  }
}

async function accuracy(context: RunContext, stage: string): Promise<string> {
  const shares = ((await readRun(context)).stages.get(stage)?.evaluation?.accuracy ?? [])
    .map(({ domain, correct, total }) => ({ domain, share: correct / Math.max(1, total) }));
  const mean = shares.reduce((n, s) => n + s.share, 0) / Math.max(1, shares.length);
  return `${shares.map((s) => `${s.domain} ${s.share.toFixed(3)}`).join('  ')}  mean ${mean.toFixed(3)}`;
}

/** Stats at the first, middle and last step. */
async function curve(context: RunContext, stage: string): Promise<string> {
  const { committed } = (await readFold(context.log, stageStream(context.run, stage), stageFactsFold)).state;
  const picked = [committed[0], committed[Math.floor(committed.length / 2)], committed[committed.length - 1]];
  return picked.filter((c): c is StepCommitted => c !== undefined).map((c) => `\n    [${c.step}] ${c.stats
    .filter((s) => SHOWN.test(s.name)).map((s) => `${s.name} ${(s.sum / Math.max(1, s.count)).toFixed(3)}`).join('  ')}`).join('');
}

type Node = { [key: string]: unknown } | { id?: string }[];

/** `a.b.c=json`; a list of things with ids is indexed by id. */
function assign(target: unknown, setting: string): void {
  const [path = '', ...json] = setting.split('=');
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const node = keys.reduce<unknown>((at, key) => {
    const here = at as Node;
    return Array.isArray(here) ? here.find((item) => item.id === key) : here[key];
  }, target);
  if (typeof node !== 'object' || node === null) throw new Error(`the recipe has no ${path}`);
  (node as { [key: string]: unknown })[last] = JSON.parse(json.join('='));
}

await main();
