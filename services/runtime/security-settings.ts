/** Settings of certificates, of an OIDC issuer, and of what may go in plain text. Read by config.ts. */
import { SCOPES, type Scope } from './access/scopes.js';
import { bucketOf } from './blob-place.js';
import { type SettingReader, withoutCredentials } from './setting-reader.js';
import { hostOfAddress, isLoopback } from './tls/loopback.js';

/** PEM files, absolute; '' where there is none. A certificate always has a key and an authority. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Whom to believe; `system`: whom Node believes. */
  readonly caFile: string;
}

export const SYSTEM_AUTHORITIES = 'system';

/** Who may come in with a token that somebody else has signed. */
export interface OidcSettings {
  readonly issuer: string;
  readonly audience: string;
  /** The claim that says what a caller may: a text of words, or a list. */
  readonly claim: string;
  /** Value of the claim → scopes. */
  readonly scopes: { readonly [value: string]: readonly Scope[] };
}

export interface SecuritySettings {
  readonly tls: TlsFiles;
  /** Whether the gateway asks for a certificate beside a key. */
  readonly gatewayClients: 'optional' | 'required';
  /** Temporal is spoken to over TLS, with the certificate of this process; `caFile` '' is that of `tls`. */
  readonly temporalTls: { readonly on: boolean; readonly caFile: string };
  readonly oidc: OidcSettings | null;
  /** What may leave this machine in plain text. */
  readonly insecure: readonly Plaintext[];
}

/** A way that carries events, weights, keys or control: TLS, or on loopback, or named in STEMMA_INSECURE. */
export const PLAINTEXT = ['listen', 'gateway', 'scoring', 'sidecar', 'temporal', 'kafka', 'blobs', 'traces'] as const;
export type Plaintext = (typeof PLAINTEXT)[number];

export const SECURITY_SETTINGS = [
  'STEMMA_TLS_CERT_FILE', 'STEMMA_TLS_KEY_FILE', 'STEMMA_TLS_CA_FILE', 'STEMMA_GATEWAY_CLIENTS', 'STEMMA_TEMPORAL_TLS', 'STEMMA_TEMPORAL_CA_FILE', 'STEMMA_INSECURE',
  'STEMMA_OIDC_ISSUER', 'STEMMA_OIDC_AUDIENCE', 'STEMMA_OIDC_CLAIM', 'STEMMA_OIDC_SCOPES',
];

/** What else the settings say, as far as it decides what must be secure. */
export interface Reached {
  readonly listenHost: string;
  readonly blobs: string;
  readonly tracing: { readonly endpoint: string };
  readonly addresses: { readonly temporal: string; readonly scoring: string; readonly gateway: string; readonly sidecar: string };
  readonly log: { readonly kind: 'embedded' } | { readonly kind: 'kafka'; readonly brokers: readonly string[]; readonly security: { readonly tls: boolean } };
}

export function readSecurity(reader: SettingReader, reached: Reached, absolute: (path: string) => string): SecuritySettings {
  const settings: SecuritySettings = Object.freeze({
    tls: readTls(reader, absolute),
    gatewayClients: reader.choice('STEMMA_GATEWAY_CLIENTS', 'optional', ['optional', 'required'] as const),
    temporalTls: Object.freeze({
      on: reader.choice('STEMMA_TEMPORAL_TLS', 'off', ['off', 'on'] as const) === 'on', caFile: fileOf(reader.text('STEMMA_TEMPORAL_CA_FILE', ''), absolute),
    }),
    oidc: readOidc(reader),
    insecure: readInsecure(reader),
  });
  reader.problems.push(...plaintextProblems(settings, reached));
  return settings;
}

/** The variables that say the same. */
export function securityEnvironment({ tls, gatewayClients, temporalTls, oidc, insecure }: SecuritySettings): { readonly [name: string]: string } {
  return {
    STEMMA_TLS_CERT_FILE: tls.certFile, STEMMA_TLS_KEY_FILE: tls.keyFile, STEMMA_TLS_CA_FILE: tls.caFile, STEMMA_GATEWAY_CLIENTS: gatewayClients,
    STEMMA_TEMPORAL_TLS: temporalTls.on ? 'on' : 'off', STEMMA_TEMPORAL_CA_FILE: temporalTls.caFile, STEMMA_INSECURE: insecure.join(','),
    STEMMA_OIDC_ISSUER: oidc?.issuer ?? '', STEMMA_OIDC_AUDIENCE: oidc?.audience ?? '', STEMMA_OIDC_CLAIM: oidc?.claim ?? '', STEMMA_OIDC_SCOPES: oidc === null ? '' : JSON.stringify(oidc.scopes),
  };
}

const fileOf = (path: string, absolute: (path: string) => string): string => (path === '' || path === SYSTEM_AUTHORITIES ? path : absolute(path));

function readTls(reader: SettingReader, absolute: (path: string) => string): TlsFiles {
  const file = (name: string): string => {
    const path = reader.text(name, '');
    // Not shown: it may be the key itself.
    if (path.includes('\n')) reader.problems.push(`${name}: expected the path of a file, got several lines`);
    return fileOf(path, absolute);
  };
  const tls = { certFile: file('STEMMA_TLS_CERT_FILE'), keyFile: file('STEMMA_TLS_KEY_FILE'), caFile: file('STEMMA_TLS_CA_FILE') };
  if ((tls.certFile === '') !== (tls.keyFile === '')) reader.problems.push('STEMMA_TLS_CERT_FILE and STEMMA_TLS_KEY_FILE: one without the other');
  if (tls.certFile !== '' && tls.caFile === '') reader.problems.push('STEMMA_TLS_CA_FILE: missing beside STEMMA_TLS_CERT_FILE: who is to be believed? (a file, or system)');
  return Object.freeze(tls);
}

function readInsecure(reader: SettingReader): readonly Plaintext[] {
  const words = reader.text('STEMMA_INSECURE', '').split(',').filter((word) => word !== '');
  const known = words.filter((word): word is Plaintext => (PLAINTEXT as readonly string[]).includes(word));
  if (known.length !== words.length) reader.problems.push(`STEMMA_INSECURE: expected words of ${PLAINTEXT.join(', ')}, got '${words.join(',')}'`);
  return Object.freeze(known);
}

/** Each way out of the machine that is neither TLS nor allowed to be plain. */
function plaintextProblems({ tls, temporalTls, insecure }: SecuritySettings, { listenHost, blobs, addresses, log, tracing }: Reached): string[] {
  const bucket = bucketOf(blobs);
  const endpoint = typeof bucket === 'object' && bucket !== null ? bucket.endpoint ?? '' : '';
  const plain: readonly [Plaintext, boolean, string][] = [
    ['listen', tls.certFile === '' && !isLoopback(listenHost), `STEMMA_LISTEN_HOST: ${listenHost} can be reached from elsewhere; set STEMMA_TLS_CERT_FILE, STEMMA_TLS_KEY_FILE and STEMMA_TLS_CA_FILE`],
    ...(['gateway', 'scoring', 'sidecar'] as const).map((to): [Plaintext, boolean, string] => [to, tls.caFile === '' && addresses[to].split(',').some(isElsewhere),
      `STEMMA_${to.toUpperCase()}_ADDRESS: ${addresses[to]} is another machine; set STEMMA_TLS_CA_FILE`]),
    ['temporal', !temporalTls.on && isElsewhere(addresses.temporal), `STEMMA_TEMPORAL_ADDRESS: ${addresses.temporal} is another machine; set STEMMA_TEMPORAL_TLS=on`],
    ['kafka', log.kind === 'kafka' && !log.security.tls && log.brokers.some(isElsewhere), 'STEMMA_LOG: a broker is another machine; set STEMMA_KAFKA_TLS=on'],
    // Its address is not shown: it may hold a key. One that cannot be read has been said already.
    ['traces', tracing.endpoint.startsWith('http:') && URL.canParse(tracing.endpoint) && !isLoopback(new URL(tracing.endpoint).hostname), 'OTEL_EXPORTER_OTLP_ENDPOINT: the collector is another machine, and spans and its key go there in plain text; use https'],
    ['blobs', endpoint.startsWith('http:') && !isLoopback(new URL(endpoint).hostname), `STEMMA_BLOBS: ${endpoint} is another machine; use https`],
  ];
  return plain.filter(([word, isPlain]) => isPlain && !insecure.includes(word)).map(([word, , problem]) => `${problem}, or say STEMMA_INSECURE=${word}`);
}

function isElsewhere(address: string): boolean {
  return address !== '' && !isLoopback(hostOfAddress(address));
}

function readOidc(reader: SettingReader): OidcSettings | null {
  const issuer = reader.text('STEMMA_OIDC_ISSUER', '');
  const audience = reader.text('STEMMA_OIDC_AUDIENCE', '');
  const scopes = readScopes(reader);
  if (issuer === '') {
    if (audience !== '' || scopes !== null) reader.problems.push('STEMMA_OIDC_ISSUER: missing beside other STEMMA_OIDC_ settings');
    return null;
  }
  reader.problems.push(...issuerProblems(issuer));
  if (audience === '') reader.problems.push('STEMMA_OIDC_AUDIENCE: missing: a token for somebody else must not open this door');
  if (scopes === null) reader.problems.push('STEMMA_OIDC_SCOPES: missing: which value of the claim may do what, e.g. {"trainers":["read","submit"]}');
  return Object.freeze({ issuer, audience, claim: reader.text('STEMMA_OIDC_CLAIM', 'groups'), scopes: scopes ?? {} });
}

function issuerProblems(issuer: string): string[] {
  const url = URL.canParse(issuer) ? new URL(issuer) : null;
  if (url !== null && `${url.username}${url.password}` !== '') return ['STEMMA_OIDC_ISSUER: credentials do not belong in it; only its public keys are asked for'];
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))) return [];
  return [`STEMMA_OIDC_ISSUER: expected https://… (http only on loopback), got '${withoutCredentials(issuer)}'`];
}

function readScopes(reader: SettingReader): OidcSettings['scopes'] | null {
  const text = reader.text('STEMMA_OIDC_SCOPES', '');
  if (text === '') return null;
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) && Object.values(parsed).every(isScopes)) return Object.freeze(parsed as OidcSettings['scopes']);
  } catch { /* said below */ }
  reader.problems.push(`STEMMA_OIDC_SCOPES: expected JSON such as {"trainers":["read","submit"]} with scopes ${SCOPES.join(', ')}, got '${text.slice(0, 200)}'`);
  return {};
}

function isScopes(value: unknown): value is readonly Scope[] {
  return Array.isArray(value) && value.every((scope) => (SCOPES as readonly unknown[]).includes(scope));
}
