import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { developmentOnly } from '../../../../deploy/images/app.mjs';
import { NODE } from '../../../../deploy/images/base.mjs';
import { cpuPins, cudaPins } from '../../../../deploy/images/pins.mjs';
import { IMAGES, withBases } from '../../../../deploy/images/plan.mjs';

const ROOT = join(import.meta.dirname, '../../../..');
const FOLDER = join(ROOT, 'deploy', 'images');
const PINS = readFileSync(join(ROOT, 'kernels', 'requirements.txt'), 'utf8');
const namesOf = (pins: string): string[] => [...pins.matchAll(/^([\w.-]+)==/gm)].map(([, name]) => name ?? '');

describe('what is in an image', () => {
  test('for CPUs: nothing of NVIDIA’s but CUDA’s small runtime, no tests, every pin with its hashes', () => {
    const names = namesOf(cpuPins(PINS).image);
    expect(names).toEqual(expect.arrayContaining(['torch', 'transformers', 'numpy', 'grpcio', 'protobuf', 'boto3', 'safetensors']));
    expect(names.filter((name) => /^(nvidia|cuda|triton|pytest)/.test(name))).toEqual(['nvidia-cuda-runtime']);
    expect(cpuPins(PINS).image.split(/\n(?=\w)/).every((entry) => entry.includes('--hash=sha256:'))).toBe(true);
  });

  test('for GPUs: all that runs', () => {
    const left = namesOf(PINS).filter((name) => !namesOf(cudaPins(PINS).image).includes(name));
    expect(left.sort()).toEqual(['grpcio-tools', 'iniconfig', 'pluggy', 'pytest']);
  });

  test('no package that only builds and tests', () => {
    expect(developmentOnly({ packages: { '': {}, 'node_modules/a': { dev: true }, 'node_modules/b': {}, 'node_modules/b/node_modules/c': { dev: true } } })).toEqual(['node_modules/a', 'node_modules/b/node_modules/c']);
  });
});

test('an image comes after what it is made of', () => {
  expect(withBases(['stemma-cpu'])).toEqual(['stemma', 'stemma-cpu']);
  expect(withBases(Object.keys(IMAGES))).toEqual(Object.keys(IMAGES));
});

const DOCKERFILES = readdirSync(FOLDER).filter((name) => name.endsWith('.Dockerfile') && name !== 'base.Dockerfile');

test('each image has a Dockerfile, and each Dockerfile is an image', () => {
  expect(DOCKERFILES.map((name) => name.replace('.Dockerfile', '')).sort()).toEqual(Object.keys(IMAGES).sort());
});

test.each(DOCKERFILES)('%s is pinned, ends as a user with a number, and has the stages that are replaced', (file) => {
  const text = readFileSync(join(FOLDER, file), 'utf8');
  const { argument, parts } = IMAGES[file.replace('.Dockerfile', '')]!;
  const bases = [...text.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base ?? '').filter((base) => base.includes('/') || base.includes('$'));
  expect(bases.every((base) => base === `\${${argument}}` || /:[\w.-]+$/.test(base))).toBe(true);
  expect(text).toMatch(new RegExp(`^ARG ${argument}=\\S+:(?!latest)[\\w.-]+$`, 'm'));
  expect(text.trim().split('\n').filter((line) => line.startsWith('USER ')).at(-1)).toMatch(/^USER \d{5}:\d{5}$/);
  for (const stage of Object.keys(parts)) expect(text).toMatch(new RegExp(`^FROM \\S+ AS ${stage}$`, 'm'));
  if (text.includes('/node:')) expect(text).toContain(`node:${NODE}-`);
});
