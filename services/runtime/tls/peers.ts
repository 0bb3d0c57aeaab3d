/**
 * Which service may call which, told by a URI in its certificate: spiffe://HOUSE/stemma/ROLE. All services of one house (a run, a
 * namespace, a cluster: whatever the path says) share what comes before the role; those of another house are strangers, though the
 * same authority vouches for them. A certificate may name several roles.
 */
import { Metadata, ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import { StemmaError } from '../../../core/errors.js';
import { toServiceError } from '../grpc.js';
import type { Logger } from '../logger.js';
import { namesIn, type TlsMaterial } from './material.js';
import type { TlsMetrics } from './metrics.js';
import type { Tls } from './tls.js';

/** The one table. The gateway asks for a key or a token instead, and the sidecar serves the service that started it, or whom it was told. */
export const CALLERS = { 'teacher-scoring': ['learner', 'distiller'] } as const;
export type GuardedDoor = keyof typeof CALLERS;

const ROLE_URI = /^URI:(spiffe:\/\/[^\s,]+\/stemma)\/([a-z-]+)$/;

/** Role → house, of the names in a certificate. */
export function rolesIn(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.flatMap((name) => {
    const [, house, role] = ROLE_URI.exec(name) ?? [];
    return house === undefined || role === undefined ? [] : [[role, house] as const];
  }));
}

/** For openTls: a service that others must know by its role has it in its certificate. */
export function lacksRole(role: string): (material: TlsMaterial) => string {
  return ({ identity }) => {
    if (identity === null) return 'a service needs a certificate of its own: STEMMA_TLS_CERT_FILE and STEMMA_TLS_KEY_FILE';
    return rolesIn(identity.names).has(role) ? '' : `its certificate does not say that it is ${role}: no URI spiffe://…/stemma/${role}`;
  };
}

/** Those of these names that may call the door of a service of this house; none: a stranger. */
export function callersIn(names: readonly string[], door: GuardedDoor, own: readonly string[]): string[] {
  const house = rolesIn(own).get(door);
  const roles = rolesIn(names);
  return CALLERS[door].filter((role) => house !== undefined && roles.get(role) === house);
}

export interface PeerGuardDeps {
  readonly tls: Tls;
  readonly metrics: TlsMetrics;
  readonly logger: Pick<Logger, 'warn'>;
}

/** PERMISSION_DENIED before the message is read. */
export function peerGuard(door: GuardedDoor, { tls, metrics, logger }: PeerGuardDeps): ServerInterceptor {
  return ({ path }, call) => new ServerInterceptingCall(call, {
    start: (next) => next({
      onReceiveMetadata(metadata, pass) {
        const names = namesIn(call.getAuthContext().sslPeerCertificate?.subjectaltname ?? '');
        if (callersIn(names, door, tls.current().identity?.names ?? []).length > 0) return pass(metadata);
        metrics.peerRefused();
        logger.warn({ path, peer: call.getPeer(), names: names.slice(0, 5) }, 'a service that may not call this was refused');
        const error = new StemmaError('scorer', 'FORBIDDEN', `${door} answers ${CALLERS[door].join(' and ')} of its own house, by the URI in their certificates`,
          'Give the caller a certificate with spiffe://…/stemma/ROLE of the same house; docs/access.md shows how.');
        const { code, details, metadata: trailer } = toServiceError(error);
        call.sendStatus({ code: code ?? status.UNKNOWN, details: details ?? '', metadata: trailer ?? new Metadata() });
      },
    }),
  });
}
