/** A name from outside never leaves its place: blobs are sha256 and nothing else, runs are file names and nothing else. */
import { expect, it } from 'vitest';
import { idAt, pathOf } from '../../../../../services/adapters/blob/content.js';
import { assertRunId } from '../../../../../services/runtime/run-id.js';

const SHA = 'ab'.repeat(32);
const HOSTILE = ['', '..', '../../etc/passwd', `../${SHA}`, `${SHA}/../../x`, SHA.toUpperCase(), `${SHA} `, `${SHA}\n`, `${SHA}\0`, SHA.slice(1), `${SHA}0`, '/etc/passwd', '%2e%2e%2f', 'a\\..\\b', '__proto__'];

it('a blob is its lower-case sha256', () => {
  expect(pathOf({ sha256: SHA })).toBe(`ab/${SHA}`);
  for (const sha256 of HOSTILE) expect(() => pathOf({ sha256 }), sha256).toThrow(expect.objectContaining({ boundary: 'blob', code: 'INVALID' }) as Error);
});

it('what else lies in a store is no blob', () => {
  expect(idAt(`ab/${SHA}`)).toBe(SHA);
  for (const path of [`cd/${SHA}`, `../ab/${SHA}`, `ab/${SHA}/x`, `ab/../${SHA}`, SHA]) expect(idAt(path), path).toBe('');
});

it('a run is a file name', () => {
  for (const run of [...HOSTILE.filter((name) => !/^[A-Za-z0-9]+$/.test(name)), '.hidden', 'a/b', 'x'.repeat(101), 'é']) expect(() => assertRunId(run, 'gateway'), run).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error);
});
