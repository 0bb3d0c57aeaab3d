/**
 * Blobs as files: `<directory>/<first 2 hex>/<sha256>`.
 *
 *   put: temporary file beside its place ─▶ write ─▶ fsync ─▶ rename ─▶ fsync directory
 *
 * So a name is there only with its whole content, whatever is killed when. Content is verified on every get.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { StemmaError, type ErrorCode } from '../../../core/errors.js';
import type { BlobStore } from '../../../core/ports.js';
import type { BlobRef } from '../../../proto/gen/stemma/v1/events.js';

const SHA256_HEX = /^[0-9a-f]{64}$/;
/** Enough to overlap the syncs of many small blobs, few enough file handles. */
const MAX_CONCURRENT_PUTS = 32;

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
    if (await holds(file, bytes)) await sync(dirname(file));
    else await writeDurably(file, bytes);
  }

  return {
    async put(bytes) {
      const ref = { sha256: sha256(bytes), length: BigInt(bytes.length) };
      const file = fileOf(root, ref);
      // Callers that put the same bytes at once wait for one write.
      const written = writing.get(file) ?? inTurn(() => write(file, bytes)).finally(() => writing.delete(file));
      writing.set(file, written);
      await written.catch((error: unknown) => { throw blobError(error, file); });
      return ref;
    },
    async get(ref) {
      const file = fileOf(root, ref);
      const bytes = await readFile(file).catch((error: unknown) => { throw blobError(error, file); });
      if (BigInt(bytes.length) !== ref.length || sha256(bytes) !== ref.sha256) throw corrupt(file, ref, bytes.length);
      return bytes;
    },
    async has(ref) {
      const file = fileOf(root, ref);
      try {
        return BigInt((await stat(file)).size) === ref.length;
      } catch (error) {
        const failure = blobError(error, file);
        if (failure.code === 'NOT_FOUND') return false;
        throw failure;
      }
    },
  };
}

function fileOf(root: string, { sha256: name }: BlobRef): string {
  if (!SHA256_HEX.test(name)) {
    throw new StemmaError('blob', 'INVALID', `"${name}" is no blob id`, 'A blob id is the lower-case hex sha256 of its content.');
  }
  return join(root, name.slice(0, 2), name);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The content is compared, not trusted: a file altered since is written anew. */
async function holds(file: string, bytes: Uint8Array): Promise<boolean> {
  try {
    if ((await stat(file)).size !== bytes.length) return false;
    return (await readFile(file)).equals(bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
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

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** At most `width` at once, first come first served. */
function limiter(width: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      // The place is handed on, or given back.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}

function corrupt(file: string, ref: BlobRef, foundBytes: number): StemmaError {
  return new StemmaError('blob', 'CORRUPT', `blob file ${file} (${foundBytes} bytes) is not the content it is named after (${ref.length} bytes)`,
    'It was altered or cut: put a good copy of this file in its place.');
}

function blobError(error: unknown, file: string): StemmaError {
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
