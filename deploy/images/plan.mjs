// The images: which Dockerfile, on which other image, from which parts, and which files decide whether one must be built again.
import { join } from 'node:path';
import { ROOT } from '../setup/layout.mjs';
import { filesUnder, hashOf, textOf } from '../setup/stamp.mjs';
import { JAVA_PACKAGES, NODE, NODE_PACKAGES } from './base.mjs';

/** @typedef {'app' | 'temporal' | 'python' | 'python-cuda' | 'kernels' | 'kernels-cuda' | 'jars' | 'pause'} Part */
/** @typedef {{ base: string, argument: 'BASE' | 'STEMMA', parts: Readonly<Record<string, Part>> }} Image */

export const TAG = 'dev';
/** @param {string} name */
export const referenceOf = (name) => `docker.io/local/${name}:${TAG}`;

/** In the order in which they are built. `base`: an image of these, or what it is made of; `parts`: stage of the Dockerfile → what stands for it. @type {Readonly<Record<string, Image>>} */
export const IMAGES = {
  pause: { base: 'node', argument: 'BASE', parts: { pause: 'pause' } },
  stemma: { base: 'node', argument: 'BASE', parts: { app: 'app' } },
  'stemma-cpu': { base: 'stemma', argument: 'STEMMA', parts: { python: 'python', kernels: 'kernels', temporal: 'temporal' } },
  'stemma-cuda': { base: 'stemma', argument: 'STEMMA', parts: { python: 'python-cuda', kernels: 'kernels-cuda', temporal: 'temporal' } },
  'stemma-kafka': { base: 'java', argument: 'BASE', parts: { jars: 'jars' } },
};

/** What a cluster without GPUs needs; `stemma-cuda` takes 20 GB of disk while it is built, and is asked for by name. */
export const DEFAULT = ['pause', 'stemma', 'stemma-cpu', 'stemma-kafka'];

/** @param {readonly string[]} names @returns {string[]} with what they are built on, in order */
export function withBases(names) {
  const wanted = new Set(names);
  for (const name of names) {
    const base = IMAGES[name]?.base ?? '';
    if (IMAGES[base] !== undefined) wanted.add(base);
  }
  return Object.keys(IMAGES).filter((name) => wanted.has(name));
}

/** @param {readonly string[]} path */
const at = (...path) => join(ROOT, ...path);
const images = (/** @type {readonly string[]} */ ...names) => names.map((name) => at('deploy', 'images', name));
const pins = () => [at('kernels', 'requirements.txt'), ...images('python.mjs', 'pins.mjs')];
const kernels = (/** @type {readonly string[]} */ ...endings) => [...filesUnder(at('kernels', 'sidecar'), endings), ...filesUnder(at('kernels', 'ops'), endings), at('kernels', 'requirements.txt'), ...images('kernels.mjs', 'pins.mjs')];

/** @type {Readonly<Record<Part, () => string[]>>} */
const SOURCES = {
  app: () => [...filesUnder(at('dist'), ['.js', '.json']), ...filesUnder(at('recipes'), ['.yaml']), at('package.json'), at('package-lock.json'), at('proto', 'openapi.json'), ...images('app.mjs', 'base.mjs')],
  temporal: () => [at('deploy', 'setup', 'versions.mjs'), ...images('temporal.mjs')],
  python: () => [...pins(), ...images('stand_ins.py')],
  'python-cuda': pins,
  kernels: () => kernels('.py', '.cpp', '.h', '.so'),
  'kernels-cuda': () => [...kernels('.py', '.cpp', '.h', '.cu', '.cuh', '.so'), at('kernels', 'requirements-nvcc.txt')],
  jars: () => [at('deploy', 'setup', 'versions.mjs'), at('deploy', 'setup', 'kafka-step.mjs')],
  pause: () => images('pause.c'),
};

/** Of everything that decides what is in a part. @param {Part} part */
export function partHash(part) {
  return hashOf([part, ...SOURCES[part]().flatMap((file) => [file.slice(ROOT.length), textOf(file)])]);
}

/** Of everything that decides what is in an image. @param {string} name @returns {string} */
export function imageHash(name) {
  const image = /** @type {Image} */ (IMAGES[name]);
  const below = IMAGES[image.base] === undefined ? hashOf([NODE, ...NODE_PACKAGES, ...JAVA_PACKAGES]) : imageHash(image.base);
  const copied = name === 'stemma-kafka' ? images('kafka-broker.sh').map(textOf) : [];
  return hashOf([below, ...Object.values(image.parts).map(partHash), textOf(at('deploy', 'images', `${name}.Dockerfile`)), ...copied]);
}
