/**
 * Collecting from a blob directory beside processes that put and read (docs/decisions/blobs-and-gc.md).
 *
 *   remove: rename aside ─▶ look at its time, which no put can change any more ─▶ old: unlink; put again meanwhile: link back
 *
 * No lock is shared with `put`, so neither side waits for the other, nor for one that hangs.
 */
import { mkdir, link, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StemmaError } from '../../../core/errors.js';
import type { BlobSweep, StoredCopy } from '../../../core/ports.js';
import { takeFileLock } from '../log/file-lock.js';
import { idAt } from './content.js';
import { ASIDE, blobError, isMissing, sync } from './directory.js';

const LOCK = '.collecting.lock';
/** Temporary files of both writers (this store and the sidecar's) begin with a dot. */
const UNFINISHED = /^[.]/;

/** LOCKED while another process collects here. */
export async function openDirectorySweep(directory: string): Promise<BlobSweep> {
  const root = resolve(directory);
  const aside = join(root, ASIDE);
  await guarded(root, () => mkdir(aside, { recursive: true }));
  const lock = takeFileLock(join(root, LOCK), (cause) =>
    new StemmaError('blob', 'LOCKED', `another process collects in ${root}`, 'Let it finish.', cause));
  await guarded(root, () => settle(root)).catch((error: unknown) => {
    lock.release();
    throw error;
  });
  return {
    minimumAgeMs: 0,
    list: () => copies(root),
    remove: (copy, beforeMs) => guarded(copy.handle, () => remove(root, copy, beforeMs)),
    close() {
      lock.release();
      return Promise.resolve();
    },
  };
}

async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw blobError(error, path);
  }
}

/** What a collector that died held aside goes back: whether anything names it is asked anew. */
async function settle(root: string): Promise<void> {
  for (const name of await readdir(join(root, ASIDE))) {
    const sha256 = idAt(`${name.slice(0, 2)}/${name}`);
    if (sha256 !== '') await restore(root, sha256);
  }
}

/** A put may have written it anew: that copy stays, and this one goes. */
async function restore(root: string, sha256: string): Promise<void> {
  const shard = join(root, sha256.slice(0, 2));
  const held = join(root, ASIDE, sha256);
  try {
    await link(held, join(shard, sha256));
    await sync(shard);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  await rm(held);
}

async function* copies(root: string): AsyncGenerator<StoredCopy> {
  for (const shard of await readdir(root, { withFileTypes: true })) {
    if (!shard.isDirectory() || shard.name === ASIDE) continue;
    for (const name of await readdir(join(root, shard.name))) {
      const copy = await copyAt(root, `${shard.name}/${name}`);
      if (copy !== null) yield copy;
    }
  }
}

/** null: it is no file of this store, or gone since it was listed. */
async function copyAt(root: string, handle: string): Promise<StoredCopy | null> {
  const sha256 = idAt(handle);
  if (sha256 === '' && !UNFINISHED.test(handle.slice(handle.indexOf('/') + 1))) return null;
  try {
    const { size, mtimeMs } = await stat(join(root, handle));
    return { kind: sha256 === '' ? 'unfinished' : 'blob', sha256, bytes: size, putAtMs: mtimeMs, handle };
  } catch (error) {
    if (isMissing(error)) return null;
    throw blobError(error, join(root, handle));
  }
}

async function remove(root: string, { sha256, handle }: StoredCopy, beforeMs: number): Promise<boolean> {
  const held = join(root, ASIDE, sha256 === '' ? handle.slice(handle.indexOf('/') + 1) : sha256);
  try {
    await rename(join(root, handle), held);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  if (sha256 === '' || (await stat(held)).mtimeMs < beforeMs) {
    await rm(held);
    return true;
  }
  await restore(root, sha256);
  return false;
}
