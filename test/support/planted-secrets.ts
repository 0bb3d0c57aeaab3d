/** What surrounds a platform, with a known secret in every place that takes one. Kafka and S3 take part where set-up has them. */
import { createPrivateKey, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROLES } from '../../services/roles/role.js';
import type { Bucket } from '../../services/runtime/blob-place.js';
import { createClosers } from '../../services/runtime/closers.js';
import { freePorts } from '../../services/runtime/free-port.js';
import type { TlsFiles } from '../../services/runtime/security-settings.js';
import { authority, HERE, roleName } from './certificates.js';
import { newHome } from './homes.js';
import { AUDIENCE, openOidcIssuer, type OidcIssuer } from './oidc-issuer.js';
import { startOtlpReceiver, type OtlpReceiver } from './otlp-receiver.js';
import { openPasswordKafka, type PasswordKafka } from './password-kafka.js';
import { hasKafka } from './real-kafka.js';
import { hasMinio, openRealMinio, type RealMinio } from './real-minio.js';

export interface Planted {
  readonly home: string;
  /** Where what holds secrets by design is kept: nobody searches there. */
  readonly vault: string;
  readonly settings: { readonly [name: string]: string };
  /** What it is → the secret. Grows. */
  readonly secrets: Record<string, string>;
  readonly ports: { readonly metrics: number; readonly temporal: number };
  readonly tls: TlsFiles;
  readonly receiver: OtlpReceiver;
  readonly issuer: OidcIssuer;
  readonly kafka: PasswordKafka | undefined;
  readonly minio: { readonly server: RealMinio; readonly bucket: Bucket } | undefined;
  close(): Promise<void>;
}

/** Long enough that no chance writes it. */
export const newSecret = (what: string): string => `${what}-${randomBytes(12).toString('hex')}`;

/** Files of the home that hold secrets by design, mode 0600; whoever owns the home is the run. */
export const BY_DESIGN = ['gateway.token', 'gateway-keys.json'];

const KAFKA_USER = 'stemma';

export async function plantSecrets(): Promise<Planted> {
  const closers = createClosers();
  const [home, vault] = [newHome(), newHome()];
  const secrets: Record<string, string> = {};
  const planted = (what: string): string => (secrets[what] = newSecret(what.replaceAll(' ', '-')));
  const file = (name: string, text: string): string => { writeFileSync(join(vault, name), text, { mode: 0o600 }); return join(vault, name); };
  const tls = authority(vault, 'ours').issue('all', { names: [...HERE, ...ROLES.map((role) => roleName(role))] });
  Object.assign(secrets, privateKeyOf(tls.keyFile));
  const receiver = await startOtlpReceiver();
  closers.add(() => receiver.close());
  const issuer = await openOidcIssuer();
  closers.add(() => issuer.stop());
  const kafka = hasKafka() ? await openPasswordKafka(join(vault, 'broker'), { user: KAFKA_USER, password: planted('kafka password') }) : undefined;
  closers.add(() => kafka?.dispose());
  const server = hasMinio() ? await openRealMinio() : undefined;
  closers.add(() => server?.stop());
  const bucket = await server?.newBucket();
  if (server !== undefined) secrets['aws secret key'] = process.env['AWS_SECRET_ACCESS_KEY'] ?? '';
  const [metrics, temporal] = (await freePorts(2)) as [number, number];
  return {
    home, vault, secrets, tls, receiver, issuer, kafka, ports: { metrics, temporal },
    minio: server && bucket && { server, bucket: bucket.bucket },
    settings: {
      STEMMA_LOG_LEVEL: 'trace', STEMMA_LOG_FILE: join(home, 'lines.jsonl'), STEMMA_METRICS_PORT: String(metrics), STEMMA_TEMPORAL_PORT: String(temporal),
      STEMMA_TLS_CERT_FILE: tls.certFile, STEMMA_TLS_KEY_FILE: tls.keyFile, STEMMA_TLS_CA_FILE: tls.caFile,
      STEMMA_OIDC_ISSUER: issuer.url, STEMMA_OIDC_AUDIENCE: AUDIENCE, STEMMA_OIDC_SCOPES: '{"trainers":["read","submit","control"]}',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.http, OTEL_EXPORTER_OTLP_HEADERS: `x-key=${planted('otlp header')}`,
      ...(kafka && {
        STEMMA_LOG: `kafka://${kafka.address}`, STEMMA_KAFKA_TLS: 'on', STEMMA_KAFKA_CA_FILE: kafka.trusted.authority, STEMMA_KAFKA_SASL: 'scram-sha-256', STEMMA_KAFKA_USER: KAFKA_USER,
        STEMMA_KAFKA_PASSWORD_FILE: file('kafka-password', `${secrets['kafka password']}\n`),
      }),
      ...(bucket ? { STEMMA_BLOBS: bucket.place } : { AWS_SECRET_ACCESS_KEY: planted('aws secret key') }),
      // Of whoever starts it, and none of ours: a process that tells its environment tells this.
      SOMEBODY_ELSES_TOKEN: planted('environment'),
    },
    close: closers.close,
  };
}

/** A private key as its file has it, and as tools show it. */
function privateKeyOf(file: string): Record<string, string> {
  const pem = readFileSync(file, 'utf8');
  const { d = '' } = createPrivateKey(pem).export({ format: 'jwk' });
  return { 'tls key': pem.split('\n')[1] ?? '', 'tls key as a JWK': d, 'tls key as hex': Buffer.from(d, 'base64url').toString('hex') };
}
