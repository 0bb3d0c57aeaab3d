/** The whole audit of a run: ledger, models, hashes, blobs (docs/events.md). Reads only. */
import type { BlobStore } from '../../core/ports.js';
import { ledgerFindings } from '../../core/projection/ledger.js';
import { modelFindings } from '../../core/projection/ledger-models.js';
import type { Finding } from '../../core/projection/finding.js';
import type { RunView } from '../../core/projection/run-view.js';
import type { Manifest } from '../runtime/run-context.js';
import { auditBlobs } from './blob-findings.js';
import { hashFindings } from './hash-findings.js';

export interface RunAudit {
  readonly findings: readonly Finding[];
  /** Checked. */
  readonly blobs: number;
  /** Blobs that later ones have superseded, and that were collected (core/stage/superseded.ts). */
  readonly retired: number;
}

/** `view` with its episodes. Without a manifest, what only the recipe can say is left out. */
export async function auditRun(blobs: BlobStore, view: RunView, manifest: Manifest | null): Promise<RunAudit> {
  const { checked, retired, findings } = await auditBlobs(blobs, view, manifest);
  const ofRecipe = manifest === null ? [] : [...modelFindings(view, manifest), ...hashFindings(view, manifest)];
  return { findings: [...ledgerFindings(view), ...ofRecipe, ...findings], blobs: checked, retired };
}
