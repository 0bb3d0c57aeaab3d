/**
 * Tokens that an OIDC issuer has signed, beside our own keys. The issuer is asked for its keys, not for each token: those read last go on
 * serving while it is away, for a day. A key that it no longer names holds until the next reading, at most ten minutes.
 */
import { createLocalJWKSet, errors, jwtVerify, type JWTPayload, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { StemmaError } from '../../../core/errors.js';
import type { Logger } from '../logger.js';
import type { OidcSettings } from '../security-settings.js';
import type { Scope } from './scopes.js';

/** Who asks, and what they may. */
export interface TokenHolder {
  /** oidc:HOST-AND-PATH-OF-ISSUER#SUBJECT: no key can have this name. */
  readonly name: string;
  readonly scopes: readonly Scope[];
}

export interface Issuer {
  /** UNAUTHENTICATED with why, or UNAVAILABLE where the issuer's keys cannot be had: the same token may be good later. */
  holder(token: string): Promise<TokenHolder>;
}

export interface IssuerDeps {
  readonly logger: Pick<Logger, 'warn'>;
  /** Of the day, in milliseconds. */
  readonly nowMs?: () => number;
}

/** Signatures that only the holder of a private key can make: no `none`, no HMAC with something that is public. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
const CLOCK_TOLERANCE_SECONDS = 60;
const FRESH_MS = 600_000;
const USABLE_MS = 86_400_000;
/** A stranger's token with an unknown key must not make us ask the issuer for each. */
const ASK_AGAIN_MS = 10_000;
const ANSWERS_WITHIN_MS = 5_000;
const MOST_BYTES = 1024 * 1024;
const SUBJECT = /^[\x21-\x7e]{1,255}$/;

export function openIssuer(settings: OidcSettings, { logger, nowMs = Date.now }: IssuerDeps): Issuer {
  const keys = new IssuerKeys(settings.issuer, { logger, nowMs });
  return {
    async holder(token) {
      const claims = await verified(token, settings, keys, nowMs);
      const { sub } = claims;
      if (sub === undefined || !SUBJECT.test(sub)) throw refused('it names no subject of 1 to 255 printable characters');
      return { name: `oidc:${settings.issuer.replace(/^https?:\/\//, '').replace(/\/$/, '')}#${sub}`, scopes: scopesOf(claims, settings) };
    },
  };
}

async function verified(token: string, { issuer, audience }: OidcSettings, keys: IssuerKeys, nowMs: () => number): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keys.find, {
      issuer, audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_SECONDS, requiredClaims: ['exp', 'sub'], currentDate: new Date(nowMs()),
    });
    return payload;
  } catch (error) {
    if (error instanceof StemmaError) throw error;
    if (error instanceof errors.JWTExpired) throw refused('it has expired', error);
    throw refused(error instanceof errors.JOSEError ? error.message : 'it cannot be understood', error);
  }
}

function scopesOf(claims: JWTPayload, { claim, scopes }: OidcSettings): Scope[] {
  const value = claims[claim];
  const words = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
  return [...new Set(words.flatMap((word) => (Object.hasOwn(scopes, word) ? scopes[word] ?? [] : [])))];
}

class IssuerKeys {
  private held: { readonly find: JWTVerifyGetKey; readonly readMs: number } | null = null;
  private askedMs = -Infinity;
  private asking: Promise<void> | null = null;

  constructor(private readonly issuer: string, private readonly deps: Required<IssuerDeps>) {}

  /** As jose asks for the key of a token. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    await this.read(FRESH_MS);
    try {
      return await this.usable()(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      // The issuer may have a new one.
      await this.read(ASK_AGAIN_MS);
      return this.usable()(header, token);
    }
  };

  private usable(): JWTVerifyGetKey {
    if (this.held !== null && this.deps.nowMs() - this.held.readMs < USABLE_MS) return this.held.find;
    throw new StemmaError('gateway', 'UNAVAILABLE', 'the issuer of the token cannot be asked for its keys', `Try again later, or use an access key: those go on working. The issuer is ${this.issuer}.`);
  }

  /** At most one at a time, and not sooner than ASK_AGAIN_MS after the last. */
  private async read(freshMs: number): Promise<void> {
    const now = this.deps.nowMs();
    const isFresh = this.held !== null && now - this.held.readMs < freshMs;
    if (!isFresh && this.asking === null && now - this.askedMs >= ASK_AGAIN_MS) {
      this.askedMs = now;
      this.asking = this.ask().catch((error: unknown) => this.deps.logger.warn({ err: error, issuer: this.issuer }, 'the issuer cannot be asked for its keys')).finally(() => { this.asking = null; });
    }
    await this.asking;
  }

  private async ask(): Promise<void> {
    const described = await json(`${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`) as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
    if (described.issuer !== this.issuer) throw new Error(`it calls itself ${String(described.issuer).slice(0, 200)}`);
    const at = String(described.jwks_uri);
    if (new URL(at).protocol !== new URL(this.issuer).protocol) throw new Error(`its keys are at ${at.slice(0, 200)}`);
    const find = createLocalJWKSet(await json(at) as JSONWebKeySet);
    this.held = { find: (header, token) => find(header, token), readMs: this.deps.nowMs() };
  }
}

async function json(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWERS_WITHIN_MS), redirect: 'error', headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  let text = '';
  for await (const part of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
    text += part;
    if (text.length > MOST_BYTES) throw new Error(`${url} answered more than ${MOST_BYTES} bytes`);
  }
  return JSON.parse(text) as unknown;
}

function refused(why: string, cause?: unknown): StemmaError {
  return new StemmaError('gateway', 'UNAUTHENTICATED', `the token is not good here: ${why}`, 'Get a new one from the issuer, for the audience of this gateway; or use an access key.', cause);
}
