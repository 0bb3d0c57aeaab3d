/** OpenTelemetry's standard variables, of those that config.ts reads: where spans go, how, and with which headers. */

/** Where spans go, as OpenTelemetry's own variables say it. */
export interface TracingSetting {
  /** '': nowhere, the default. */
  readonly endpoint: string;
  readonly protocol: 'grpc' | 'http/protobuf';
  /** They may hold a key: never log or record them. */
  readonly headers: { readonly [name: string]: string };
}

/** As config.ts reads the environment. */
interface Settings {
  text(name: string, fallback: string): string;
  choice<T extends string>(name: string, fallback: T, choices: readonly T[]): T;
  readonly problems: string[];
}

/** For traces in particular, or else for all signals; only then is a path added. Off where they say so, or nothing. */
export function readTracing(reader: Settings): TracingSetting {
  const own = reader.text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', '');
  const all = reader.text('OTEL_EXPORTER_OTLP_ENDPOINT', '');
  const off = reader.text('OTEL_SDK_DISABLED', 'false').toLowerCase() === 'true' || reader.text('OTEL_TRACES_EXPORTER', 'otlp') === 'none';
  if (off || own + all === '') return Object.freeze({ endpoint: '', protocol: 'http/protobuf', headers: {} });
  const protocols = ['grpc', 'http/protobuf'] as const;
  const protocol = reader.choice('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', reader.choice('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf', protocols), protocols);
  const endpoint = own !== '' || protocol === 'grpc' ? own || all : `${all.replace(/\/$/, '')}/v1/traces`;
  // Not shown: it may hold a key.
  if (!/^https?:\/\/[^/\s]/.test(endpoint)) reader.problems.push(`${own === '' ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'}: expected http://host:port or https://…`);
  return Object.freeze({ endpoint, protocol, headers: readHeaders(reader, reader.text('OTEL_EXPORTER_OTLP_TRACES_HEADERS', reader.text('OTEL_EXPORTER_OTLP_HEADERS', ''))) });
}

/** name=value,name=value with percent-encoded values, as W3C baggage. */
function readHeaders(reader: Settings, text: string): TracingSetting['headers'] {
  const pairs = text.split(',').filter((part) => part.trim() !== '').map((part) => part.split(/=(.*)/s));
  try {
    if (pairs.every(([name = '', value]) => /^[\w!#$%&'*+.^`|~-]+$/.test(name.trim()) && value !== undefined)) {
      return Object.freeze(Object.fromEntries(pairs.map(([name = '', value = '']) => [name.trim().toLowerCase(), decodeURIComponent(value.trim())])));
    }
  } catch { /* said below */ }
  reader.problems.push('OTEL_EXPORTER_OTLP_HEADERS: expected name=value,name=value with percent-encoded values');
  return {};
}

/** As a process reads it that shall send its spans to the same place. */
export function tracingEnvironment({ endpoint, protocol, headers }: TracingSetting): { readonly [name: string]: string } {
  if (endpoint === '') return { OTEL_TRACES_EXPORTER: 'none' };
  return {
    OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: Object.entries(headers).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join(','),
  };
}
