import { expect, it } from 'vitest';
import { installedAsLocked } from '../../../../deploy/setup/node-steps.mjs';

const lockOf = (packages: Record<string, object>) => JSON.stringify({ packages });
const a = { version: '1.0.0', integrity: 'sha512-a' };
const lock = lockOf({ '': { name: 'stemma' }, 'node_modules/a': a, 'node_modules/b': { version: '2.0.0', integrity: 'sha512-b', optional: true } });

it('trusts what npm wrote as its last act', () => {
  expect(installedAsLocked(lock, lockOf({ 'node_modules/a': a }))).toBe(true);
});

it('does not trust a missing, other or altered package, or an install that never ended', () => {
  expect(installedAsLocked(lock, lockOf({}))).toBe(false);
  expect(installedAsLocked(lock, lockOf({ 'node_modules/a': { ...a, version: '1.0.1' } }))).toBe(false);
  expect(installedAsLocked(lock, lockOf({ 'node_modules/a': { ...a, integrity: 'sha512-x' } }))).toBe(false);
  expect(installedAsLocked(lock, lockOf({ 'node_modules/a': a, 'node_modules/b': { version: '3.0.0', integrity: 'sha512-b' } }))).toBe(false);
  expect(installedAsLocked(lock, '')).toBe(false);
});
