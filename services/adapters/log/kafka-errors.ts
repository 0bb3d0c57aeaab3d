/** kafkajs's errors as ours: which a person must mend, which pass. */
import { StemmaError, type ErrorCode } from '../../../core/errors.js';

interface KafkaJsError {
  readonly message?: string;
  readonly type?: string;
  readonly name?: string;
  /** Of the socket. */
  readonly code?: string;
  readonly cause?: KafkaJsError;
  readonly errors?: readonly KafkaJsError[];
}

interface Meaning {
  readonly code: ErrorCode;
  /** Between "Kafka at …" and what it said; empty lets it speak for itself. */
  readonly says: string;
  readonly remedy: string;
  readonly fits: (root: KafkaJsError) => boolean;
}

/** Node's codes for a certificate that it does not accept. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH/;

/** The first that fits. */
const MEANINGS: readonly Meaning[] = [
  { code: 'NOT_FOUND', says: 'has no such topic', remedy: 'List the runs with: stemma status.', fits: ({ type }) => type === 'UNKNOWN_TOPIC_OR_PARTITION' },
  {
    code: 'CORRUPT', says: 'no longer has events that were read from it before',
    remedy: 'Acknowledged events were lost there (retention, an unclean election, a disk). The local index still holds those read before: keep it.',
    fits: ({ type, name }) => type === 'OFFSET_OUT_OF_RANGE' || name === 'KafkaJSOffsetOutOfRange',
  },
  {
    code: 'INVALID', says: 'refuses these credentials', remedy: 'Correct STEMMA_KAFKA_USER, STEMMA_KAFKA_PASSWORD_FILE or STEMMA_KAFKA_SASL, or what the broker allows that user.',
    fits: ({ type, name }) => /AUTHORIZATION_FAILED|SASL|AUTHENTICATION/i.test(`${type} ${name}`),
  },
  {
    code: 'INVALID', says: 'shows a certificate that is not trusted here', fits: ({ code }) => CERTIFICATE.test(code ?? ''),
    remedy: 'Set STEMMA_KAFKA_CA_FILE to the authority that signed it, and name the broker in STEMMA_LOG as the certificate does.',
  },
  {
    code: 'INVALID', says: '', remedy: 'Correct the broker\'s settings.',
    fits: ({ type }) => /MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_TOPIC|UNSUPPORTED_VERSION|INVALID_REPLICATION_FACTOR|POLICY_VIOLATION/.test(type ?? ''),
  },
  {
    // A broker that dies does that too.
    code: 'UNAVAILABLE', says: 'hangs up', fits: ({ name, code }) => name === 'KafkaJSConnectionClosedError' || code === 'ECONNRESET',
    remedy: 'Try again; if it stays, the broker may ask for TLS or a password that it is not given, or speak no TLS: check STEMMA_KAFKA_TLS and STEMMA_KAFKA_SASL.',
  },
  {
    code: 'UNAVAILABLE', says: 'does not answer', remedy: 'Start it (npm run kafka starts one here), or correct --log.',
    fits: ({ name }) => /^KafkaJSConnection|NoBrokerAvailable|BrokerNotFound/.test(name ?? ''),
  },
  { code: 'UNAVAILABLE', says: '', remedy: 'Try again; if it stays, look at the broker.', fits: () => true },
];

export function kafkaError(error: unknown, brokers: readonly string[]): StemmaError {
  if (error instanceof StemmaError) return error;
  const root = rootOf(error as KafkaJsError);
  const { code, says, remedy } = MEANINGS.find(({ fits }) => fits(root))!;
  const told = [`Kafka at ${brokers.join(', ')}`, ...(says === '' ? [] : [` ${says}`]), `: ${root.message ?? String(error)}`];
  return new StemmaError('log', code, told.join(''), remedy, error);
}

export function logClosed(): StemmaError {
  return new StemmaError('log', 'UNAVAILABLE', 'the log is closed', 'Open it again.');
}

/** kafkajs wraps what happened in "number of retries exceeded" and the like. */
function rootOf(error: KafkaJsError): KafkaJsError {
  const inner = error.errors?.[0] ?? (/^KafkaJS(NumberOfRetriesExceeded|NonRetriableError)$/.test(error.name ?? '') ? error.cause : undefined);
  return inner === undefined || inner === error ? error : rootOf(inner);
}
