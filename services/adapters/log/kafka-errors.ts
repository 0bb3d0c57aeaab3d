/** kafkajs's errors as ours: which a person must mend, which pass. */
import { StemmaError } from '../../../core/errors.js';

interface KafkaJsError {
  readonly message?: string;
  readonly type?: string;
  readonly name?: string;
  readonly cause?: KafkaJsError;
  readonly errors?: readonly KafkaJsError[];
}

export function kafkaError(error: unknown, brokers: readonly string[]): StemmaError {
  if (error instanceof StemmaError) return error;
  const { type, name, message } = rootOf(error as KafkaJsError);
  const at = brokers.join(', ');
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION') {
    return new StemmaError('log', 'NOT_FOUND', `Kafka at ${at} has no such topic`, 'List the runs with: stemma status.', error);
  }
  if (type === 'OFFSET_OUT_OF_RANGE' || name === 'KafkaJSOffsetOutOfRange') {
    return new StemmaError('log', 'CORRUPT', `Kafka at ${at} no longer has events that were read from it before`,
      'Acknowledged events were lost there (retention, an unclean election, a disk). The local index still holds those read before: keep it.', error);
  }
  if (/AUTHORIZATION_FAILED|SASL|AUTHENTICATION/i.test(`${type} ${name}`)) {
    return new StemmaError('log', 'INVALID', `Kafka at ${at} refuses these credentials: ${message}`, 'Correct the STEMMA_KAFKA_ settings or the broker\'s access rules.', error);
  }
  if (/MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_TOPIC|UNSUPPORTED_VERSION|INVALID_REPLICATION_FACTOR|POLICY_VIOLATION/.test(type ?? '')) {
    return new StemmaError('log', 'INVALID', `Kafka at ${at}: ${message}`, 'Correct the broker\'s settings.', error);
  }
  if (/^KafkaJSConnection|NoBrokerAvailable|BrokerNotFound/.test(name ?? '')) {
    return new StemmaError('log', 'UNAVAILABLE', `no Kafka broker answers at ${at}: ${message}`, 'Start it (npm run kafka starts one here), or correct --log.', error);
  }
  return new StemmaError('log', 'UNAVAILABLE', `Kafka at ${at}: ${message ?? String(error)}`, 'Try again; if it stays, look at the broker.', error);
}

export function logClosed(): StemmaError {
  return new StemmaError('log', 'UNAVAILABLE', 'the log is closed', 'Open it again.');
}

/** kafkajs wraps what happened in "number of retries exceeded" and the like. */
function rootOf(error: KafkaJsError): KafkaJsError {
  const inner = error.errors?.[0] ?? (/^KafkaJS(NumberOfRetriesExceeded|NonRetriableError)$/.test(error.name ?? '') ? error.cause : undefined);
  return inner === undefined || inner === error ? error : rootOf(inner);
}
