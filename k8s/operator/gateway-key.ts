/**
 * The operator's key to a run's gateway: a Secret of the run, made once, mounted by its pods and read by name. Secrets are not
 * mirrored, so the operator needs no right to list them.
 */
import { StemmaError } from '../../core/errors.js';
import { addKey, newSeal } from '../../services/runtime/access/keys-file.js';
import { isRefusal, type KubeApi } from './api.js';
import { gatewaySecretName, MANAGED_BY, ownerOf, RUN_LABEL } from './desired.js';
import { KEYS_FILE, tlsSecretName } from './pod.js';
import type { GatewayAccess } from './run-gateway.js';
import { apiVersionOf, pathOf, type KubeObject } from './resources.js';
import type { TrainingRun } from './training-run.js';

interface Secret extends KubeObject {
  /** Base64. */
  readonly data?: { readonly [key: string]: string };
}

/** How long an authority is believed before its Secret is read again. */
const AUTHORITY_FRESH_MS = 60_000;

export class GatewayKeys {
  /** By the run's uid: read once while this operator lives. */
  private readonly tokens = new Map<string, string>();
  /** By the run's uid. */
  private readonly authorities = new Map<string, { readonly pem: string; readonly readMs: number }>();

  constructor(private readonly api: KubeApi) {}

  async access(run: TrainingRun): Promise<GatewayAccess> {
    return { token: await this.token(run), authority: await this.authority(run) };
  }

  /** PEM; '' where the run's pods speak plain text. UNAVAILABLE as long as the Secret is not there. */
  private async authority({ metadata: { uid = '', namespace }, spec: { tls, embedded } }: TrainingRun): Promise<string> {
    if (tls === undefined) return '';
    const known = this.authorities.get(uid);
    if (known !== undefined && performance.now() - known.readMs < AUTHORITY_FRESH_MS) return known.pem;
    const name = tlsSecretName(tls, embedded ? 'all-in-one' : 'gateway');
    const secret = await this.api.call<Secret>({ method: 'GET', path: pathOf('Secret', namespace, name) }).catch((error: unknown) => {
      if (isRefusal(error, 'NotFound')) return undefined;
      throw error;
    });
    const pem = Buffer.from(secret?.data?.['ca.crt'] ?? '', 'base64').toString();
    if (pem === '') throw new StemmaError('kubernetes', 'UNAVAILABLE', `Secret ${name} has no ca.crt`, 'Create it with tls.crt, tls.key and ca.crt; cert-manager does.');
    this.authorities.set(uid, { pem, readMs: performance.now() });
    return pem;
  }

  private async token(run: TrainingRun): Promise<string> {
    const uid = run.metadata.uid ?? '';
    const known = this.tokens.get(uid);
    if (known !== undefined) return known;
    const secret = await this.read(run) ?? await this.make(run);
    if (!secret.metadata.ownerReferences?.some((owner) => owner.uid === uid)) {
      throw new StemmaError('kubernetes', 'LOCKED', `Secret ${secret.metadata.name} belongs to something else`, 'Delete it, or give the run another name.');
    }
    const token = Buffer.from(secret.data?.['token'] ?? '', 'base64').toString();
    this.tokens.set(uid, token);
    return token;
  }

  /** Resolves to whether it was there. */
  async remove(run: TrainingRun): Promise<boolean> {
    this.tokens.delete(run.metadata.uid ?? '');
    this.authorities.delete(run.metadata.uid ?? '');
    const secret = await this.read(run);
    if (!secret?.metadata.ownerReferences?.some((owner) => owner.uid === run.metadata.uid)) return false;
    await this.api.call({ method: 'DELETE', path: pathOf('Secret', run.metadata.namespace, secret.metadata.name), body: { preconditions: { uid: secret.metadata.uid } } });
    return true;
  }

  private read({ metadata }: TrainingRun): Promise<Secret | undefined> {
    return this.api.call<Secret>({ method: 'GET', path: pathOf('Secret', metadata.namespace, gatewaySecretName(metadata.name)) }).catch((error: unknown) => {
      if (isRefusal(error, 'NotFound')) return undefined;
      throw error;
    });
  }

  private make(run: TrainingRun): Promise<Secret> {
    const { namespace, name } = run.metadata;
    const { file, token } = addKey({ seal: newSeal(), keys: [] }, { name: MANAGED_BY, scopes: ['read', 'submit', 'control'] });
    return this.api.call<Secret>({
      method: 'POST', path: pathOf('Secret', namespace), query: { fieldManager: MANAGED_BY },
      body: {
        apiVersion: apiVersionOf('Secret'), kind: 'Secret', type: 'Opaque', immutable: true, stringData: { [KEYS_FILE]: JSON.stringify(file), token },
        metadata: { name: gatewaySecretName(name), namespace, labels: { 'app.kubernetes.io/name': 'stemma', 'app.kubernetes.io/managed-by': MANAGED_BY, [RUN_LABEL]: name }, ownerReferences: [ownerOf(run)] },
      },
    });
  }
}
