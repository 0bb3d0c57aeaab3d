// `npm run images [-- NAME …]`: the images of deploy/images as OCI archives, without Docker and without a registry.
//   All but stemma-cuda by default; that by name. A second start with nothing changed finds them all.
// Archives and images.json (what there is, and where) are in set-up's cache folder, shared by every clone.
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assembleApp } from './images/app.mjs';
import { JAVA_PACKAGES, NODE_PACKAGES, baseContext, once, sqliteAddon } from './images/base.mjs';
import { needPrograms, openBuildah } from './images/buildah.mjs';
import { assembleKernels } from './images/kernels.mjs';
import { DEFAULT, IMAGES, imageHash, partHash, referenceOf, withBases } from './images/plan.mjs';
import { assemblePython } from './images/python.mjs';
import { assembleTemporal } from './images/temporal.mjs';
import { runCommand } from './setup/command.mjs';
import { SetupFailure } from './setup/failure.mjs';
import { CACHE, logFile, ROOT } from './setup/layout.mjs';
import { withLock } from './setup/lock.mjs';
import { createProgress, duration } from './setup/progress.mjs';
import { explain, setUp } from './setup/run.mjs';
import { hashOf, readJson, writeWhole } from './setup/stamp.mjs';

/** @import { Part } from './images/plan.mjs' */
/** @typedef {{ reference: string, archive: string, hash: string, bytes: number }} Built */

const cache = join(CACHE, 'images');
const index = join(cache, 'images.json');
const progress = createProgress();
const buildah = openBuildah(cache);
const around = { progress, cache };

process.exit(await main(process.argv.slice(2)).catch(explain));

/** @param {string[]} names @returns {Promise<number>} the exit code */
async function main(names) {
  const unknown = names.find((name) => IMAGES[name] === undefined);
  if (unknown !== undefined) throw new SetupFailure(`There is no image "${unknown}".`, `There are ${Object.keys(IMAGES).join(', ')}.`);
  const startedAt = performance.now();
  await needPrograms();
  const { toolchain } = await setUp(['packages', 'generate', 'compile', 'python', 'temporal', 'kafka']);
  await withLock(join(cache, 'lock'), { onWait: (holder) => progress.say(`another build of images is going on (${holder}), waiting for it`) }, async () => {
    for (const name of withBases(names.length === 0 ? DEFAULT : names)) await buildUnlessThere(name, toolchain.kafka ?? '');
  });
  /** @type {Record<string, Built>} */
  const built = readJson(index);
  for (const [name, { reference, archive, bytes }] of Object.entries(built)) console.log(`${name.padEnd(12)} ${reference.padEnd(36)} ${(bytes / 1e6).toFixed(0).padStart(6)} MB  ${archive}`);
  console.log(`Images are there (${duration(performance.now() - startedAt)}).`);
  return 0;
}

/** @param {string} name @param {string} kafka the folder with its jar files */
async function buildUnlessThere(name, kafka) {
  const hash = imageHash(name);
  const archive = join(cache, `${name}.oci.tar`);
  /** @type {Record<string, Built>} */
  const before = readJson(index);
  if (before[name]?.hash === hash && existsSync(archive)) return;
  const image = /** @type {import('./images/plan.mjs').Image} */ (IMAGES[name]);
  const reference = referenceOf(name);
  const below = IMAGES[image.base] === undefined ? await base(image.base) : referenceOf(image.base);
  /** @type {Record<string, string>} */
  const stages = {};
  for (const [stage, part] of Object.entries(image.parts)) stages[stage] = await assemble(part, kafka);
  await progress.step(`${name}: buildah`, () => buildah.build({ reference, file: join(ROOT, 'deploy', 'images', `${name}.Dockerfile`), args: { [image.argument]: below }, stages }));
  await progress.step(`${name}: archive`, async () => {
    rmSync(`${archive}.partial`, { force: true });
    await buildah.push(reference, `${archive}.partial`);
    renameSync(`${archive}.partial`, archive);
  });
  forgetOthers(image.parts, stages);
  writeWhole(index, `${JSON.stringify({ ...readJson(index), [name]: { reference, archive, hash, bytes: statSync(archive).size } }, null, 2)}\n`);
}

/** Of each part only the one that is in an image is kept, for the next build. @param {Readonly<Record<string, Part>>} parts @param {Record<string, string>} stages */
function forgetOthers(parts, stages) {
  for (const [stage, part] of Object.entries(parts)) {
    for (const name of readdirSync(cache)) {
      if (new RegExp(`^part-${part}-[0-9a-f]{12}$`).test(name) && join(cache, name) !== stages[stage]) rmSync(join(cache, name), { recursive: true });
    }
  }
}

/** @param {string} kind @returns {Promise<string>} a reference */
async function base(kind) {
  const packages = kind === 'java' ? JAVA_PACKAGES : NODE_PACKAGES;
  const context = await baseContext(around, packages);
  const reference = `localhost/stemma-base-${kind}:${hashOf([context]).slice(0, 12)}`;
  if (!buildah.has(reference)) await progress.step(`base image for ${kind}: buildah`, () => buildah.build({ reference, file: join(ROOT, 'deploy', 'images', 'base.Dockerfile'), context }));
  return reference;
}

/** @param {Part} part @param {string} kafka @returns {Promise<string>} a folder that stands for the stage */
async function assemble(part, kafka) {
  const folder = join(cache, `part-${part}-${partHash(part).slice(0, 12)}`);
  const addon = part === 'app' ? await sqliteAddon(around) : '';
  return once(folder, (partial) => progress.step(`${part}: assemble`, async () => {
    if (part === 'app') assembleApp(partial, { addon });
    else if (part === 'temporal') await assembleTemporal(partial);
    else if (part === 'jars') copyJars(kafka, partial);
    else if (part === 'pause') await compilePause(partial);
    else if (part.startsWith('python')) await assemblePython(partial, { cuda: part === 'python-cuda' });
    else await assembleKernels(partial, { cuda: part === 'kernels-cuda' });
  }));
}

/** @param {string} from @param {string} partial */
function copyJars(from, partial) {
  mkdirSync(join(partial, 'opt'), { recursive: true });
  cpSync(from, join(partial, 'opt', 'kafka'), { recursive: true });
}

/** @param {string} partial */
async function compilePause(partial) {
  mkdirSync(partial, { recursive: true });
  await runCommand('gcc', ['-Os', '-static', '-o', join(partial, 'pause'), join(ROOT, 'deploy', 'images', 'pause.c')], { log: logFile('images-pause'), remedy: 'Install a C compiler (Debian: apt-get install gcc libc6-dev).' });
}
