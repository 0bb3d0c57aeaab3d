/** Who may pass: every request of both transports is admitted here before its body is read, or refused, counted and logged. */
import type { Registry } from 'prom-client';
import { StemmaError, type ErrorCode } from '../../core/errors.js';
import type { Scope } from '../runtime/access/scopes.js';
import type { Keyring } from '../runtime/access/keyring.js';
import type { Issuer, TokenHolder } from '../runtime/access/issuer.js';
import type { Attribution } from '../runtime/access/attribution.js';
import type { Logger } from '../runtime/logger.js';
import { counter } from '../runtime/metrics.js';
import { LIMITS, OpenStreams, RateLimit, type Limits } from './limits.js';

/** What each method of ControlService asks of a key. A method that is not here is refused. */
const SCOPE_OF: { readonly [method: string]: Scope } = {
  SubmitRun: 'submit', GetRun: 'read', GetSeries: 'read', ListRuns: 'read', WatchRun: 'read', ControlRun: 'control',
};

export interface Knock {
  /** Of ControlService, without its path. */
  readonly method: string;
  /** The whole authorization header; '' where there is none. */
  readonly authorization: string;
  /** host:port of the caller. */
  readonly peer: string;
}

export interface Guard {
  /** UNAUTHENTICATED, FORBIDDEN, or UNAVAILABLE for who asks too often and while the issuer of a token cannot be asked. */
  admit(knock: Knock): Promise<Attribution>;
  /** EXHAUSTED where the caller has too many streams; else what gives the place back. */
  openStream(caller: Attribution): () => void;
  /** Counts and logs what a transport refused on its own: too large, too slow, not understood. */
  refused(reason: string, about: Omit<Knock, 'authorization'>): void;
}

export interface GuardDeps {
  readonly keyring: Pick<Keyring, 'holder'>;
  /** null: tokens of others open nothing. */
  readonly issuer: Issuer | null;
  readonly registry: Registry;
  readonly logger: Pick<Logger, 'warn'>;
  readonly limits?: Limits;
}

export function createGuard({ keyring, issuer, registry, logger, limits = LIMITS }: GuardDeps): Guard {
  const refusals = counter(registry, { name: 'stemma_gateway_refused_requests_total', help: 'Requests that the gateway refused, by reason.', labels: ['reason'] });
  const rate = new RateLimit(limits);
  const streams = new OpenStreams(limits.openStreams);
  const refused: Guard['refused'] = (reason, { method, peer }) => {
    refusals.inc({ reason });
    // Also before anyone is known: a stranger must not fill the log.
    if (rate.take(`log ${hostOf(peer)}`, performance.now()) === 0) logger.warn({ reason, method: methodNamed(method), origin: hostOf(peer) }, 'a request was refused');
  };
  return {
    refused,
    async admit(knock) {
      const problem = (reason: string, error: StemmaError): StemmaError => { refused(reason, knock); return error; };
      const key = await holderOf({ keyring, issuer }, knock).catch((error: unknown) => { throw error instanceof NotAdmitted ? problem(error.reason, error.why) : error; });
      const scope = Object.hasOwn(SCOPE_OF, knock.method) ? SCOPE_OF[knock.method] : undefined;
      if (scope === undefined || !(key.scopes.includes(scope) || key.scopes.includes('admin'))) throw problem('scope', forbidden(key, knock.method, scope));
      const waitMs = rate.take(key.name, performance.now());
      if (waitMs > 0) throw problem('rate', refusal('UNAVAILABLE', `${key.name} asks too often`, `Try again in ${waitMs} ms.`));
      return { by: key.name, origin: hostOf(knock.peer) };
    },
    openStream({ by, origin }) {
      if (!streams.open(by)) {
        refused('streams', { method: 'WatchRun', peer: origin });
        throw refusal('EXHAUSTED', `${by} has ${limits.openStreams} open streams`, 'Close one of them first.');
      }
      return () => streams.close(by);
    },
  };
}

/** What somebody put in the place of a method may be a key that they pasted there: it is neither logged nor said. */
function methodNamed(method: string): string {
  return method === '' || Object.hasOwn(SCOPE_OF, method) ? method : 'none of ours';
}

/** Why nobody is known. */
class NotAdmitted extends Error {
  constructor(readonly reason: string, readonly why: StemmaError) {
    super(why.message);
  }
}

/** A key is ours and short; header.claims.signature, each in base64url, is a token. */
const KEY = /^Bearer +(\S{1,200})$/i;
const TOKEN = /^Bearer +([\w-]+\.[\w-]+\.[\w-]*)$/i;
const MOST_TOKEN = 8 * 1024;

async function holderOf({ keyring, issuer }: Pick<GuardDeps, 'keyring' | 'issuer'>, { authorization }: Knock): Promise<TokenHolder> {
  if (issuer !== null && authorization.length <= MOST_TOKEN) {
    const token = TOKEN.exec(authorization)?.[1];
    if (token !== undefined) return issuer.holder(token).catch((error: unknown) => { throw error instanceof StemmaError ? new NotAdmitted(error.code === 'UNAVAILABLE' ? 'issuer' : 'token', error) : error; });
  }
  const text = KEY.exec(authorization)?.[1];
  if (text === undefined) throw new NotAdmitted('no-key', unauthenticated('the request has no access key'));
  const key = keyring.holder(text);
  if (key === undefined) throw new NotAdmitted('no-key', unauthenticated('the access key is not known here'));
  if (key.expiresAt !== undefined && Date.parse(key.expiresAt) <= Date.now()) throw new NotAdmitted('expired', unauthenticated(`the key ${key.name} expired at ${key.expiresAt}`));
  return key;
}

function unauthenticated(message: string): StemmaError {
  return refusal('UNAUTHENTICATED', message, 'Name the file of a valid key in STEMMA_GATEWAY_TOKEN_FILE or a profile; whoever runs the gateway makes one with `stemma keys add`.');
}

function forbidden({ name, scopes }: TokenHolder, method: string, scope: Scope | undefined): StemmaError {
  if (scope === undefined) return refusal('FORBIDDEN', 'there is no such method', 'See /openapi.json.');
  return refusal('FORBIDDEN', `${method} needs the scope ${scope}; ${name} has ${scopes.join(', ') || 'none'}`, 'Use a key or a token with that scope.');
}

function refusal(code: ErrorCode, message: string, remedy: string): StemmaError {
  return new StemmaError('gateway', code, message, remedy);
}

/** Without the port, which changes with each connection. */
export function hostOf(peer: string): string {
  return peer.replace(/^ipv[46]:/, '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
