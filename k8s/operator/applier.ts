/**
 * Server-side apply with one field manager, only where something has changed: what is wanted, or what is there. A field that
 * another manager owns is reported, never taken.
 */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../services/runtime/canonical-json.js';
import { ApiRefusal, isRefusal, type KubeApi } from './api.js';
import { MANAGED_BY } from './desired.js';
import { kindKeyOf, pathOf, type KubeObject, type OwnedKind } from './resources.js';

export type ApplyOutcome =
  | { readonly kind: 'as-wanted' }
  | { readonly kind: 'problem'; readonly reason: 'FieldConflict' | 'Refused'; readonly message: string };

interface Known {
  /** Of what was applied last. */
  readonly desired: string;
  /** Of what the server then held. */
  readonly live: string;
  readonly outcome: ApplyOutcome;
}

const AS_WANTED: ApplyOutcome = { kind: 'as-wanted' };

export class Applier {
  /** A restart forgets it and applies everything once more, which changes nothing. */
  private readonly known = new Map<string, Known>();

  constructor(private readonly api: KubeApi) {}

  async apply(desired: KubeObject, live: KubeObject | undefined): Promise<ApplyOutcome> {
    const key = kindKeyOf(desired);
    const hash = createHash('sha256').update(canonicalJson(desired)).digest('hex');
    const known = this.known.get(key);
    if (live !== undefined && known?.desired === hash && known.live === fingerprint(live)) return known.outcome;
    try {
      const { kind, metadata: { namespace, name } } = desired;
      const applied = await this.api.call<KubeObject>({
        method: 'PATCH', path: pathOf(kind as OwnedKind, namespace, name), query: { fieldManager: MANAGED_BY, force: 'false' },
        contentType: 'application/apply-patch+yaml', body: desired,
      });
      this.known.set(key, { desired: hash, live: fingerprint(applied), outcome: AS_WANTED });
      return AS_WANTED;
    } catch (error) {
      const outcome = problemOf(error, desired);
      // Tried again when either side changes.
      if (live !== undefined) this.known.set(key, { desired: hash, live: fingerprint(live), outcome });
      return outcome;
    }
  }

  forget(object: KubeObject): void {
    this.known.delete(kindKeyOf(object));
  }
}

/** Changes with everything but status; kinds without a generation have no status that changes by itself. */
function fingerprint({ metadata: { uid, generation, resourceVersion } }: KubeObject): string {
  return `${uid}/${generation ?? `version ${resourceVersion}`}`;
}

function problemOf(error: unknown, { kind, metadata: { name } }: KubeObject): ApplyOutcome {
  if (isRefusal(error, 'Conflict')) {
    return { kind: 'problem', reason: 'FieldConflict', message: `${kind} ${name}: ${conflictText(error)}: leave these fields to ${MANAGED_BY}, or take the object out of its hands` };
  }
  if (error instanceof ApiRefusal && error.code === 'INVALID') return { kind: 'problem', reason: 'Refused', message: `${kind} ${name}: ${error.message}` };
  throw error;
}

/** `Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas` without what comes before it. */
function conflictText(error: ApiRefusal): string {
  return error.message.replace(/^.*?Apply failed with /s, '').replace(/\n/g, ' ');
}
