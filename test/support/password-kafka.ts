/** A real broker that asks for TLS and a password, beside its own listener. */
import { mkdirSync } from 'node:fs';
import { freePorts } from '../../services/runtime/free-port.js';
import { openRealKafka, type RealKafka } from './real-kafka.js';
import { selfSigned, type SelfSigned } from './self-signed.js';

export interface PasswordKafka extends RealKafka {
  /** host:port of the listener that asks. */
  readonly address: string;
  readonly trusted: SelfSigned;
}

const LOGIN = 'org.apache.kafka.common.security';

/** Keys of the broker go below `directory`. */
export async function openPasswordKafka(directory: string, { user, password }: { readonly user: string; readonly password: string }): Promise<PasswordKafka> {
  mkdirSync(directory, { recursive: true });
  const trusted = selfSigned(directory, 'trusted');
  const [port] = (await freePorts(1)) as [number];
  const address = `127.0.0.1:${port}`;
  const kafka = await openRealKafka(1, {
    formatWith: ['--add-scram', `SCRAM-SHA-256=[name=${user},password=${password}]`],
    differing: ({ listeners, 'advertised.listeners': advertised, 'listener.security.protocol.map': protocols }) => ({
      listeners: `${String(listeners)},SASL_SSL://${address}`, 'advertised.listeners': `${String(advertised)},SASL_SSL://${address}`,
      'listener.security.protocol.map': `${String(protocols)},SASL_SSL:SASL_SSL`,
      'ssl.keystore.type': 'PEM', 'ssl.keystore.location': trusted.server, 'sasl.enabled.mechanisms': 'SCRAM-SHA-256,PLAIN',
      'listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config': `${LOGIN}.scram.ScramLoginModule required;`,
      'listener.name.sasl_ssl.plain.sasl.jaas.config': `${LOGIN}.plain.PlainLoginModule required user_${user}="${password}";`,
    }),
  });
  return { ...kafka, address, trusted };
}
