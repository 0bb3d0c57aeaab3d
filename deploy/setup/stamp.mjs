// A stamp says that a step finished for these inputs. It is removed before the step starts and written after it ended,
// so that an interrupted step is never taken for a finished one.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** @param {readonly string[]} parts @returns {string} hex sha256 of the tuple */
export function hashOf(parts) {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** @param {string} path @returns {string} the text, or '' where there is no such file */
export function textOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The object in a JSON file, or {} where there is none that can be read. @param {string} path @returns {any} */
export function readJson(path) {
  try {
    return JSON.parse(textOf(path) || '{}') ?? {};
  } catch {
    return {};
  }
}

/** Files below a directory whose names end in one of `endings`, sorted. @param {string} directory @param {readonly string[]} endings @returns {string[]} */
export function filesUnder(directory, endings) {
  /** @type {string[]} */
  const found = [];
  let entries;
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return found;
  }
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && entry.name !== 'node_modules') found.push(...filesUnder(path, endings));
    else if (endings.some((ending) => entry.name.endsWith(ending))) found.push(path);
  }
  return found.sort();
}

/** Hash of paths and contents. @param {readonly string[]} files */
export function hashContents(files) {
  return hashOf(files.flatMap((file) => [file, textOf(file)]));
}

/** Hash of paths, sizes and modification times: cheap, and enough for a compiler that checks contents itself. @param {readonly string[]} files */
export function hashTimes(files) {
  return hashOf(files.map((file) => {
    const { mtimeMs, size } = statSync(file);
    return `${file} ${mtimeMs} ${size}`;
  }));
}

/**
 * Runs `step` unless its stamp holds `hash` and its output is there.
 * @param {{ file: string, hash: string, isThere: () => boolean }} stamp
 * @param {() => Promise<void>} step
 * @returns {Promise<boolean>} whether it ran
 */
export async function unlessStamped({ file, hash, isThere }, step) {
  if (textOf(file).trim() === hash && isThere()) return false;
  rmSync(file, { force: true });
  await step();
  writeWhole(file, `${hash}\n`);
  return true;
}

/** Written beside and renamed: readers see the old text or the new one. @param {string} path @param {string} text */
export function writeWhole(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, text);
  renameSync(partial, path);
}
