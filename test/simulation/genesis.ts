/** What schedules start from: a run that was created, and what it comes to when nothing breaks. */
import { runViewOf } from '../../core/projection/run-view.js';
import { createRun } from '../../services/coordinator/create-run.js';
import { MemoryBlobs } from './memory-blobs.js';
import { MemoryStore, openMemoryLogs } from './memory-logs.js';
import { blobStore, outcomeOf, sharedFacts, trainerOf, violations } from './oracle.js';
import { simulatedRecipe } from './recipe.js';
import { AHEAD, runsAhead, type Geneses, type Genesis } from './scenario.js';
import { scheduleFrom } from './schedule.js';
import { Sidecar } from './sidecar.js';
import { play, worldOf } from './simulate.js';

const PARENT = 'simulated';
const FORKED = { parent: PARENT, stage: 'search-rl', step: 1, settings: [] };

export async function createGeneses(): Promise<Geneses> {
  const synchronous = await created();
  const shards = await settled({ scenario: 'shards', ...synchronous });
  // Nothing but the way in which rollouts are assigned differs.
  const standing = await settled({ scenario: 'standing', ...synchronous, expected: shards.expected });
  const parent = await undisturbed(standing);
  const shared = sharedFacts(parent.stores.get(PARENT)!).filter((fact) => fact.includes('of sft ') || fact.startsWith(`step ${FORKED.step} of ${FORKED.stage} `));
  const fork = await settled({
    scenario: 'fork', run: 'fork', input: { recipe: 'simulated', fork: FORKED }, blobs: parent.blobs,
    stores: new Map([[PARENT, parent.stores.get(PARENT)!], ['fork', new MemoryStore()]]), expected: { ...shards.expected, shared },
  });
  const geneses: { -readonly [S in keyof Geneses]?: Genesis } = { shards, standing, fork };
  for (const scenario of AHEAD) geneses[scenario] = await settled({ scenario, ...(await created(scenario)) });
  return geneses as Geneses;
}

async function created(ahead?: (typeof AHEAD)[number]): Promise<Pick<Genesis, 'run' | 'input' | 'stores' | 'blobs' | 'expected'>> {
  const stores = new Map([[PARENT, new MemoryStore()]]);
  const blobs = new MemoryBlobs();
  const log = await openMemoryLogs(stores).open(PARENT, 'write');
  await createRun({ blobs: blobStore(blobs), trainer: trainerOf(new Sidecar(blobs)), code: { version: 'simulated', revision: '' } }, log,
    { run: PARENT, recipe: await simulatedRecipe(ahead), seed: 7n, who: { by: 'simulation', origin: '' } });
  return { run: PARENT, input: { recipe: 'simulated' }, stores, blobs, expected: {} };
}

/** Runs it undisturbed: how long that is and, in a synchronous run, what every other must come to. */
async function settled(genesis: Omit<Genesis, 'span'>): Promise<Genesis> {
  const world = await undisturbed({ ...genesis, span: 0 });
  const outcome = outcomeOf(runViewOf(world.stores.get(genesis.run)!.all()));
  return { ...genesis, span: world.steps, expected: runsAhead(genesis.scenario) ? genesis.expected : { outcome, ...genesis.expected } };
}

async function undisturbed(genesis: Genesis): Promise<{ stores: ReadonlyMap<string, MemoryStore>; blobs: MemoryBlobs; steps: number }> {
  const world = worldOf(genesis, scheduleFrom([]), {});
  await play(genesis, world);
  const { disks: { stores, blobs }, acknowledged, answered, scheduler } = world;
  const problems = await violations({ run: genesis.run, stores, blobs, acknowledged, answered }, genesis.expected);
  if (problems.length > 0) throw new Error(`undisturbed, ${genesis.scenario} fails: ${problems.join('; ')}`);
  return { stores, blobs, steps: scheduler.step };
}
