/** The preloaded disk and clock (../shim): building it, steering it while its processes run, and cutting the power. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync, closeSync, constants, existsSync, ftruncateSync, linkSync, mkdirSync, openSync, readFileSync, readSync, readdirSync, renameSync, rmSync, statSync, writeSync, copyFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';

const SOURCES = resolve(import.meta.dirname, '../shim');
const CACHE = resolve(import.meta.dirname, '../../../.stemma/test');
const PAGE_BYTES = 4096;

/** The shared object, compiled once a version of its sources. */
export function buildShim(): string {
  const sources = readdirSync(SOURCES).filter((name) => /\.[ch]$/.test(name)).sort().map((name) => join(SOURCES, name));
  const version = createHash('sha256').update(sources.map((file) => readFileSync(file, 'utf8')).join('\0')).digest('hex').slice(0, 16);
  const built = join(CACHE, `shim-${version}.so`);
  if (existsSync(built)) return built;
  mkdirSync(CACHE, { recursive: true });
  const fresh = `${built}.${process.pid}`;
  execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-Wno-format-truncation', '-shared', '-fPIC', '-o', fresh, ...sources.filter((file) => file.endsWith('.c')), '-ldl', '-lpthread']);
  renameSync(fresh, built);
  return built;
}

/** Offsets in struct control (../shim/shim.h); all are int64. */
const FIELDS = {
  skewNs: 0, full: 8, space: 16, syncFailures: 24, enospcHits: 32, eioHits: 40, skewHits: 48, syncs: 56,
} as const;
type Field = keyof typeof FIELDS;
const FILTER = { offset: 128, bytes: 128 } as const;

/** One role's control page. Processes map it: what is written here holds at their next call. */
export class ShimControl {
  private readonly file: number;

  constructor(folder: string, role: string) {
    mkdirSync(folder, { recursive: true });
    this.file = openSync(join(folder, `${role}.ctl`), constants.O_RDWR | constants.O_CREAT);
    ftruncateSync(this.file, PAGE_BYTES);
  }

  get(field: Field): number {
    const bytes = Buffer.alloc(8);
    readSync(this.file, bytes, 0, 8, FIELDS[field]);
    return Number(bytes.readBigInt64LE());
  }

  set(field: Field, value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    writeSync(this.file, bytes, 0, 8, FIELDS[field]);
  }

  /** Only paths that contain it fail; '' is all. */
  onlyPaths(containing: string): void {
    const bytes = Buffer.alloc(FILTER.bytes);
    bytes.write(containing);
    writeSync(this.file, bytes, 0, FILTER.bytes, FILTER.offset);
  }

  close(): void {
    closeSync(this.file);
  }
}

export interface ShimFolders {
  /** Watched files. */
  readonly root: string;
  /** What a power cut would leave of them. */
  readonly shadow: string;
  readonly control: string;
}

/** The environment of a process that runs under the shim. libuv's io_uring would go round it. */
export function shimEnvironment(folders: ShimFolders): { readonly [name: string]: string } {
  mkdirSync(join(folders.shadow, 'inodes'), { recursive: true });
  mkdirSync(join(folders.shadow, 'tree'), { recursive: true, mode: 0o755 });
  mkdirSync(folders.control, { recursive: true });
  return {
    LD_PRELOAD: buildShim(), UV_USE_IO_URING: '0',
    STEMMA_TEST_SHIM_ROOT: folders.root, STEMMA_TEST_SHIM_SHADOW: folders.shadow, STEMMA_TEST_SHIM_CONTROL: folders.control,
  };
}

/** Bytes that were there and bytes that are left. */
export interface PowerCut {
  readonly filesBefore: number;
  readonly filesAfter: number;
  /** Files that are gone or have other content than before: what the cut took. */
  readonly changed: readonly string[];
}

/**
 * After all processes were killed: the named folders of root hold what had been fsynced, and nothing else. Other files
 * under root are not under the shim (Temporal's, the logs) and stay.
 */
export function cutPower({ root, shadow }: ShimFolders, folders: readonly string[]): PowerCut {
  const before = hashesOf(root, folders);
  for (const folder of folders) {
    rmSync(join(root, folder), { recursive: true, force: true });
    const durable = join(shadow, 'tree', folder);
    if (existsSync(durable) && isNamed(durable)) restore(durable, join(root, folder));
  }
  rebuildShadow({ root, shadow }, folders);
  const after = hashesOf(root, folders);
  const changed = [...before].filter(([file, hash]) => after.get(file) !== hash).map(([file]) => file);
  return { filesBefore: before.size, filesAfter: after.size, changed };
}

/** Mode 0700 marks a directory whose own name was never synced. */
function isNamed(directory: string): boolean {
  return (statSync(directory).mode & 0o777) === 0o755;
}

function restore(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    if (entry.isDirectory()) {
      if (isNamed(source)) restore(source, join(to, entry.name));
    } else {
      copyFileSync(source, join(to, entry.name));
      chmodSync(join(to, entry.name), 0o644);
    }
  }
}

/** All that is left is durable; its inodes are new. */
function rebuildShadow({ root, shadow }: Pick<ShimFolders, 'root' | 'shadow'>, folders: readonly string[]): void {
  rmSync(join(shadow, 'inodes'), { recursive: true, force: true });
  mkdirSync(join(shadow, 'inodes'));
  for (const folder of folders) {
    const durable = join(shadow, 'tree', folder);
    rmSync(durable, { recursive: true, force: true });
    if (!existsSync(join(root, folder))) continue;
    restore(join(root, folder), durable);
    for (const file of filesBelow(root, folder)) {
      linkSync(join(shadow, 'tree', file), join(shadow, 'inodes', String(statSync(join(root, file)).ino)));
    }
  }
}

function filesBelow(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

function hashesOf(root: string, folders: readonly string[]): Map<string, string> {
  return new Map(folders.flatMap((folder) => filesBelow(root, folder)).map((file) =>
    [file, createHash('sha256').update(readFileSync(join(root, file))).digest('hex')]));
}
