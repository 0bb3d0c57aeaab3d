/**
 * Collecting blobs that nothing reaches (docs/decisions/blobs-and-gc.md).
 *
 *   list the old copies ─▶ mark what the logs reach ─▶ remove the rest, each only if it has not been put again since
 */
import { StemmaError } from '../../core/errors.js';
import type { BlobStore, BlobSweep, RunLogs, StoredCopy } from '../../core/ports.js';
import { LEAST_RETENTION, type Retention } from '../../core/stage/superseded.js';
import { reachedBlobs } from './reachable.js';

export interface Amount {
  readonly count: number;
  readonly bytes: number;
}

export interface CollectionPlan {
  readonly runs: number;
  /** By what names them first, as in Reached. */
  readonly reached: ReadonlyMap<string, Amount>;
  /** Named, and not in the store. */
  readonly missing: number;
  /** Not reached, but too young to go. */
  readonly young: Amount;
  /** Of weights and snapshots that later ones have superseded: what stays all the same, and which would go or go now. */
  readonly supersededStay: Amount;
  readonly superseded: ReadonlySet<string>;
  readonly toGo: readonly StoredCopy[];
  readonly beforeMs: number;
}

export interface CollectionInput {
  /** All logs whose runs keep blobs in this store. */
  readonly logs: readonly RunLogs[];
  readonly blobs: BlobStore;
  readonly sweep: BlobSweep;
  /** Milliseconds since the epoch: only what was last put before it may go. */
  readonly beforeMs: number;
  /** Collect although a run that these logs do not know has its manifest here. */
  readonly unknownRuns: boolean;
  /** Collect what later weights and snapshots have superseded, but for what this keeps; null: keep all of it. */
  readonly retention: Retention | null;
}

/** No manifest is larger: it holds a recipe and references. */
const MANIFEST_MAX_BYTES = 1024 * 1024;

/** Changes nothing. */
export async function planCollection({ logs, blobs, sweep, beforeMs, unknownRuns, retention }: CollectionInput): Promise<CollectionPlan> {
  const copies: StoredCopy[] = [];
  for await (const copy of sweep.list()) copies.push(copy);
  // After the list: what is put or named meanwhile is reached, or not listed, or younger when it comes to removing it.
  const { runs, namedBy, superseded } = await reachedBlobs(logs, blobs, retention ?? LEAST_RETENTION);
  const stays = ({ kind, sha256 }: StoredCopy): boolean => kind === 'blob' && namedBy.has(sha256);
  const isSpared = ({ kind, sha256 }: StoredCopy): boolean => kind === 'blob' && superseded.has(sha256) && (retention === null || superseded.get(sha256) === true);
  const reached = new Map<string, Amount>();
  const stored = new Set<string>();
  for (const copy of copies.filter(stays)) {
    stored.add(copy.sha256);
    const by = namedBy.get(copy.sha256) ?? '';
    reached.set(by, plus(reached.get(by), copy));
  }
  const missing = new Set([...namedBy.keys()].filter((sha256) => !stored.has(sha256)));
  // What a live run has put and named since the list is not missing.
  if (missing.size > 0) for await (const { sha256 } of sweep.list()) missing.delete(sha256);
  const unreached = copies.filter((copy) => !stays(copy) && !isSpared(copy));
  const toGo = unreached.filter(({ putAtMs }) => putAtMs < beforeMs);
  if (!unknownRuns) await refuseUnknownRuns(blobs, toGo);
  return {
    runs, reached, missing: missing.size,
    young: amountOf(unreached.filter(({ putAtMs }) => putAtMs >= beforeMs)), toGo, beforeMs,
    supersededStay: amountOf(copies.filter(isSpared)), superseded: new Set(superseded.keys()),
  };
}

/** What went; copies that were put again since the plan stay. */
export async function collect(sweep: BlobSweep, { toGo, beforeMs }: Pick<CollectionPlan, 'toGo' | 'beforeMs'>): Promise<Amount> {
  let gone: Amount = { count: 0, bytes: 0 };
  for (const copy of toGo) if (await sweep.remove(copy, beforeMs)) gone = plus(gone, copy);
  return gone;
}

export function amountOf(copies: readonly StoredCopy[]): Amount {
  return copies.reduce<Amount>((sum, copy) => plus(sum, copy), { count: 0, bytes: 0 });
}

function plus(sum: Amount | undefined, { bytes }: StoredCopy): Amount {
  return { count: (sum?.count ?? 0) + 1, bytes: (sum?.bytes ?? 0) + bytes };
}

/** A store that several logs share must not be collected by what one of them reaches. */
async function refuseUnknownRuns(blobs: BlobStore, toGo: readonly StoredCopy[]): Promise<void> {
  for (const { kind, sha256, bytes } of toGo) {
    if (kind !== 'blob' || bytes > MANIFEST_MAX_BYTES) continue;
    const content = await blobs.get({ sha256, length: BigInt(bytes) }).catch(() => new Uint8Array());
    if (!isManifest(content)) continue;
    throw new StemmaError('blob', 'INVALID', `blob ${sha256} is the manifest of a run that these logs do not hold: what its events name would be collected too`,
      'Collect with the log of that run (--log, STEMMA_HOME), give each log a blob store or prefix of its own, or, if that run was deleted or never began, add --unknown-runs.');
  }
}

function isManifest(content: Uint8Array): boolean {
  try {
    const parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content)) as Readonly<Record<string, unknown>> | null;
    return typeof parsed === 'object' && ['recipe', 'tokenizer', 'baseWeights'].every((name) => parsed !== null && name in parsed);
  } catch {
    return false;
  }
}
