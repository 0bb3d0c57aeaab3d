/** gRPC over TLS with certificates that change: each new connection is made with those that hold then; open ones go on. */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, type SecureContextOptions } from 'node:tls';
import { experimental, ServerCredentials, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { CHANNEL_OPTIONS, type Channel } from '../grpc.js';
import { hostOfAddress } from './loopback.js';
import { namesIn, type TlsMaterial } from './material.js';
import type { Tls } from './tls.js';

const MIN_VERSION = 'TLSv1.2';
/** Who connects and says nothing is shut out. */
export const HANDSHAKE_WITHIN_MS = 10_000;

/** Whether who has no certificate that the authority vouches for may connect. */
export type Clients = 'optional' | 'required';

/** For node:tls, node:https and gRPC alike. */
export function contextOf({ identity, authorities }: TlsMaterial): SecureContextOptions {
  return { minVersion: MIN_VERSION, ca: authorities, ...(identity && { cert: identity.certificate, key: identity.key }) };
}

/** `clients` required: the handshake of anyone else fails. */
export function serverCredentials(tls: Tls, clients: Clients): ServerCredentials {
  return new RotatingServerCredentials(tls, clients);
}

class RotatingServerCredentials extends ServerCredentials {
  constructor(tls: Tls, clients: Clients) {
    super({ requestCert: true, rejectUnauthorized: clients === 'required', handshakeTimeout: HANDSHAKE_WITHIN_MS }, contextOf(tls.current()));
    tls.onChange((material) => this.updateSecureContextOptions(contextOf(material)));
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** SNI must be a name (RFC 6066): this one goes out where an address is asked, which is then looked for in the certificate. */
const NO_NAME = 'ip.invalid';

/** A call that a connection at its age did not take any more is made on the next: nothing of it was seen, and nothing else is tried again. */
const SECURE_OPTIONS: ChannelOptions = { ...CHANNEL_OPTIONS, 'grpc.enable_retries': 1 };

/** To a server that proves to be who is at `address`, host:port. */
export function channelTo(tls: Tls, address: string): Channel {
  const host = hostOfAddress(address);
  if (isIP(host) === 0) return { credentials: clientCredentials(tls), options: SECURE_OPTIONS };
  return {
    credentials: clientCredentials(tls, (_, certificate) => checkServerIdentity(host, certificate)),
    options: { ...SECURE_OPTIONS, 'grpc.ssl_target_name_override': NO_NAME },
  };
}

/** To a process of this service that has the same certificate, wherever it is: the sidecar that it has started. */
export function channelToSelf(tls: Tls): Channel {
  const own = tls.current().identity?.names.find((name) => name.startsWith('DNS:'))?.slice('DNS:'.length);
  return {
    credentials: clientCredentials(tls, (_, { subjectaltname }) => sameNames(tls, namesIn(subjectaltname ?? ''))),
    options: { ...SECURE_OPTIONS, 'grpc.ssl_target_name_override': own ?? NO_NAME },
  };
}

function sameNames(tls: Tls, names: readonly string[]): Error | undefined {
  const own = tls.current().identity?.names ?? [];
  return own.length > 0 && own.join() === names.join() ? undefined : new Error('the certificate of the sidecar is not that of its service');
}

function clientCredentials(tls: Tls, verify?: (host: string, certificate: PeerCertificate) => Error | undefined): ChannelCredentials {
  const provider = new MaterialProvider(tls);
  const identity = tls.current().identity === null ? null : provider;
  return experimental.createCertificateProviderChannelCredentials(provider, identity, verify && { checkServerIdentity: verify });
}

/** As grpc-js asks for certificates: told at once, and again after each change. */
class MaterialProvider implements experimental.CertificateProvider {
  private readonly ends = new Map<unknown, () => void>();

  constructor(private readonly tls: Tls) {}

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.tell(listener, ({ authorities }) => listener({ caCertificate: authorities }));
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.tell(listener, ({ identity }) => listener(identity && { certificate: identity.certificate, privateKey: identity.key }));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.end(listener);
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.end(listener);
  }

  private tell(listener: unknown, tell: (material: TlsMaterial) => void): void {
    this.ends.set(listener, this.tls.onChange(tell));
    tell(this.tls.current());
  }

  private end(listener: unknown): void {
    this.ends.get(listener)?.();
    this.ends.delete(listener);
  }
}
