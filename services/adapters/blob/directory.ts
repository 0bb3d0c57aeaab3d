/**
 * Blobs as files: `<directory>/<first 2 hex>/<sha256>`.
 *
 *   put: temporary file beside its place ─▶ write ─▶ fsync ─▶ rename ─▶ fsync directory
 *
 * So a name is there only with its whole content, whatever is killed when. Content is verified on every get.
 * Beside a collection (directory-sweep.ts) a blob may lie aside for a moment: readers look there too.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { StemmaError, type ErrorCode } from '../../../core/errors.js';
import type { BlobStore } from '../../../core/ports.js';
import { pathOf, refOf, verified } from './content.js';
import { limiter } from './limiter.js';

/** Enough to overlap the syncs of many small blobs, few enough file handles. */
const MAX_CONCURRENT_PUTS = 32;
/** Where a collector lays a blob aside, under the store's root. */
export const ASIDE = '.collecting';

export async function openDirectoryBlobs(directory: string): Promise<BlobStore> {
  const root = resolve(directory);
  await makeDirectory(root).catch((error: unknown) => { throw blobError(error, root); });
  const inTurn = limiter(MAX_CONCURRENT_PUTS);
  const shards = new Map<string, Promise<void>>();
  const writing = new Map<string, Promise<void>>();

  /** Once a process: the directory of a blob and its entry in the root are durable. */
  function makeShard(shard: string): Promise<void> {
    const made = shards.get(shard) ?? makeDirectory(shard);
    shards.set(shard, made);
    made.catch(() => shards.delete(shard));
    return made;
  }

  async function write(file: string, bytes: Uint8Array): Promise<void> {
    await makeShard(dirname(file));
    // The one that put it may have died before its directory was synced: sync it here too.
    if ((await holds(file, bytes)) && (await refresh(file))) await sync(dirname(file));
    else await writeDurably(file, bytes);
  }

  return {
    async put(bytes) {
      const ref = refOf(bytes);
      const file = join(root, pathOf(ref));
      // Callers that put the same bytes at once wait for one write.
      const written = writing.get(file) ?? inTurn(() => write(file, bytes)).finally(() => writing.delete(file));
      writing.set(file, written);
      await written.catch((error: unknown) => { throw blobError(error, file); });
      return ref;
    },
    async get(ref) {
      const file = join(root, pathOf(ref));
      const bytes = await wherever(root, file, (place) => readFile(place)).catch((error: unknown) => { throw blobError(error, file); });
      return verified(bytes, ref, `file ${file}`);
    },
    async has(ref) {
      const file = join(root, pathOf(ref));
      try {
        return BigInt((await wherever(root, file, (place) => stat(place))).size) === ref.length;
      } catch (error) {
        const failure = blobError(error, file);
        if (failure.code === 'NOT_FOUND') return false;
        throw failure;
      }
    },
  };
}

/** Reads a blob at its place, or where a collector holds it while it looks whether it was put again, or back at its place. */
async function wherever<T>(root: string, file: string, read: (place: string) => Promise<T>): Promise<T> {
  for (const place of [file, join(root, ASIDE, basename(file))]) {
    try {
      return await read(place);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return read(file);
}

/** The content is compared, not trusted: a file altered since is written anew. */
async function holds(file: string, bytes: Uint8Array): Promise<boolean> {
  try {
    if ((await stat(file)).size !== bytes.length) return false;
    return (await readFile(file)).equals(bytes);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** A fresh time keeps it from being collected. False if it was: a collector that had laid it aside before did not see this. */
async function refresh(file: string): Promise<boolean> {
  const nowSeconds = Date.now() / 1000;
  try {
    await utimes(file, nowSeconds, nowSeconds);
    await stat(file);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function writeDurably(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(file), `.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, 'wx');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await sync(dirname(file));
}

/** Durable: every directory that had to be made has its entry synced. */
async function makeDirectory(directory: string): Promise<void> {
  const topmostMade = await mkdir(directory, { recursive: true });
  const last = dirname(topmostMade ?? directory);
  for (let parent = dirname(directory); ; parent = dirname(parent)) {
    await sync(parent);
    if (parent === last || parent === dirname(parent)) return;
  }
}

export async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

export function blobError(error: unknown, file: string): StemmaError {
  if (error instanceof StemmaError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const as = (kind: ErrorCode, text: string, remedy: string): StemmaError => new StemmaError('blob', kind, text, remedy, error);
  switch (code) {
    case 'ENOENT': return as('NOT_FOUND', `blob file ${file} is missing`, 'Restore the blob directory of this run from a copy.');
    case 'ENOSPC': case 'EDQUOT': return as('DISK_FULL', `no space left to write ${file}`, 'Free space on that disk and try again.');
    case 'EACCES': case 'EPERM': case 'EROFS': case 'ENOTDIR':
      return as('INVALID', `cannot use ${file}: ${message}`, 'Check that it is a directory and that this user may write there.');
    default: return as('UNAVAILABLE', `the disk failed at ${file}: ${message}`, 'Check the disk and try again.');
  }
}
