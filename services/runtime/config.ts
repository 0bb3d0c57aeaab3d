/**
 * The only reader of process.env: parsed once at an entry point into a frozen, validated object and passed down.
 * All problems are reported at once. Imports nothing heavy: a command must start in milliseconds.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { StemmaError } from '../../core/errors.js';
import { bucketOf } from './blob-place.js';
import { packageRoot } from './package-root.js';
import { readTracing, tracingEnvironment, type TracingSetting } from './tracing/setting.js';
import { readSecurity, SECURITY_SETTINGS, securityEnvironment, type SecuritySettings } from './security-settings.js';
import { SettingReader, type Environment, withoutCredentials } from './setting-reader.js';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where the events are. */
export type LogSetting =
  | { readonly kind: 'embedded' }
  | { readonly kind: 'kafka'; readonly brokers: readonly string[]; readonly security: KafkaSecurity };

/** How this process shows a Kafka cluster who it is; the password stays in its file until it is needed. */
export interface KafkaSecurity {
  readonly tls: boolean;
  /** PEM; '' is what Node trusts. */
  readonly caFile: string;
  readonly sasl: 'none' | 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly user: string;
  readonly passwordFile: string;
}

export interface Config extends SecuritySettings {
  readonly packageRoot: string;
  /** Logs, blobs, Temporal's database, reports: everything a run leaves behind. Absolute. */
  readonly home: string;
  readonly logLevel: LogLevel;
  /** JSON lines go here; '' is stderr. Absolute. */
  readonly logFile: string;
  /** Torch threads: part of what makes a run repeatable bit for bit. */
  readonly threads: number;
  readonly device: 'cpu' | 'cuda';
  readonly log: LogSetting;
  /** Content-addressed bytes, shared by all processes that work on the same runs: an absolute directory, or s3://… (open-blobs.ts). */
  readonly blobs: string;
  /** Where gateway, teacher scoring and metrics listen. */
  readonly listenHost: string;
  /** 0: any free port, printed at start. */
  readonly ports: { readonly gateway: number; readonly http: number; readonly metrics: number; readonly scoring: number; readonly temporal: number; readonly temporalUi: number };
  /** host:port of what this process finds elsewhere; '' where it is not told. Of scoring, maybe several with commas between. */
  readonly addresses: { readonly temporal: string; readonly scoring: string; readonly gateway: string; readonly sidecar: string };
  /** Who may do what at the gateway: hashes of tokens, and the secret of the seals. Gateways and workers read it. Absolute. */
  readonly keysFile: string;
  /** The token that this process shows to a gateway. Absolute. */
  readonly tokenFile: string;
  readonly tracing: TracingSetting;
  /** What set-up found or built: executables, and the folder of Kafka's jar files; '' where set-up has not run. */
  readonly tools: { readonly python: string; readonly temporal: string; readonly java: string; readonly kafka: string };
}

const KNOWN = [
  'STEMMA_HOME', 'STEMMA_LOG_LEVEL', 'STEMMA_LOG_FILE', 'STEMMA_THREADS', 'STEMMA_DEVICE', 'STEMMA_GATEWAY_PORT', 'STEMMA_HTTP_PORT', 'STEMMA_METRICS_PORT',
  'STEMMA_TEMPORAL_PORT', 'STEMMA_TEMPORAL_UI_PORT', 'STEMMA_TOOLCHAIN', 'STEMMA_PYTHON', 'STEMMA_TEMPORAL', 'STEMMA_JAVA', 'STEMMA_KAFKA',
  'STEMMA_LOG', 'STEMMA_KAFKA_TLS', 'STEMMA_KAFKA_CA_FILE', 'STEMMA_KAFKA_SASL', 'STEMMA_KAFKA_USER', 'STEMMA_KAFKA_PASSWORD_FILE',
  'STEMMA_BLOBS', 'STEMMA_LISTEN_HOST', 'STEMMA_SCORING_PORT', 'STEMMA_TEMPORAL_ADDRESS', 'STEMMA_SCORING_ADDRESS', 'STEMMA_GATEWAY_ADDRESS',
  'STEMMA_SIDECAR_ADDRESS', 'STEMMA_KEYS_FILE', 'STEMMA_GATEWAY_TOKEN_FILE', 'STEMMA_PROFILE', ...SECURITY_SETTINGS,
];

const BROKER = /^[A-Za-z0-9.-]+:\d{1,5}$/;

/** What `--log` and STEMMA_LOG may be. Null for anything else. */
function brokersOf(url: string): string[] | null {
  const brokers = url.startsWith('kafka://') ? url.slice('kafka://'.length).split(',') : [];
  return brokers.length > 0 && brokers.every((broker) => BROKER.test(broker) && Number(broker.slice(broker.lastIndexOf(':') + 1)) <= 65_535) ? brokers : null;
}

function readLog(reader: SettingReader, absolute: (path: string) => string): LogSetting {
  const url = reader.text('STEMMA_LOG', '');
  const caFile = reader.text('STEMMA_KAFKA_CA_FILE', '');
  const passwordFile = reader.text('STEMMA_KAFKA_PASSWORD_FILE', '');
  const security: KafkaSecurity = Object.freeze({
    tls: reader.choice('STEMMA_KAFKA_TLS', 'off', ['off', 'on'] as const) === 'on',
    caFile: caFile === '' ? '' : absolute(caFile),
    sasl: reader.choice('STEMMA_KAFKA_SASL', 'none', ['none', 'plain', 'scram-sha-256', 'scram-sha-512'] as const),
    user: reader.text('STEMMA_KAFKA_USER', ''),
    passwordFile: passwordFile === '' ? '' : absolute(passwordFile),
  });
  if (security.sasl !== 'none' && (security.user === '' || passwordFile === '')) {
    reader.problems.push(`STEMMA_KAFKA_SASL: ${security.sasl} needs STEMMA_KAFKA_USER and STEMMA_KAFKA_PASSWORD_FILE`);
  }
  if (url === '' || url === 'embedded') return Object.freeze({ kind: 'embedded' });
  const brokers = brokersOf(url);
  if (brokers === null) {
    reader.problems.push(`STEMMA_LOG: expected kafka://host:port[,host:port …] or embedded, got '${withoutCredentials(url)}'`);
    return Object.freeze({ kind: 'embedded' });
  }
  return Object.freeze({ kind: 'kafka', brokers, security });
}

function readBlobs(reader: SettingReader, absolute: (path: string) => string, fallback: string): string {
  const place = reader.text('STEMMA_BLOBS', fallback);
  const bucket = bucketOf(place);
  if (typeof bucket === 'string') reader.problems.push(`STEMMA_BLOBS: ${bucket}`);
  return bucket === null ? absolute(place) : place;
}

/** Settings of one place to work, for the command line: NAME=value lines, read as Node reads --env-file. */
function readProfile(file: string, problems: string[]): Environment {
  if (file === '') return {};
  try {
    return parseEnv(readFileSync(resolve(file), 'utf8')) as Environment;
  } catch (error) {
    problems.push(`STEMMA_PROFILE: ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
    return {};
  }
}

/** What set-up wrote: paths of the tools it found or built. A missing file is a set-up that has not run. */
function readToolchain(file: string, problems: string[]): Config['tools'] {
  const none = { python: '', temporal: '', java: '', kafka: '' };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT') problems.push(`${file}: cannot be read (${code ?? String(error)})`);
    return none;
  }
  try {
    const parsed = JSON.parse(text) as Partial<Record<keyof Config['tools'], unknown>> | null;
    const path = (value: unknown): string => (typeof value === 'string' ? value : '');
    return { python: path(parsed?.python), temporal: path(parsed?.temporal), java: path(parsed?.java), kafka: path(parsed?.kafka) };
  } catch {
    problems.push(`${file}: not JSON; delete it and run \`npm run setup\``);
    return none;
  }
}

/** As STEMMA_LOG has it. */
export function logUrl(log: LogSetting): string {
  return log.kind === 'embedded' ? 'embedded' : `kafka://${log.brokers.join(',')}`;
}

function kafkaEnvironment({ tls, caFile, sasl, user, passwordFile }: KafkaSecurity): { readonly [name: string]: string } {
  return { STEMMA_KAFKA_TLS: tls ? 'on' : 'off', STEMMA_KAFKA_CA_FILE: caFile, STEMMA_KAFKA_SASL: sasl, STEMMA_KAFKA_USER: user, STEMMA_KAFKA_PASSWORD_FILE: passwordFile };
}

/** The environment of a process that shall have this configuration. */
export function environmentOf(config: Config): NodeJS.ProcessEnv {
  const { ports, addresses, tools } = config;
  const settings: { readonly [name: string]: string | number } = {
    STEMMA_HOME: config.home, STEMMA_LOG: logUrl(config.log), STEMMA_BLOBS: config.blobs,
    STEMMA_LOG_LEVEL: config.logLevel, STEMMA_LOG_FILE: config.logFile, STEMMA_THREADS: config.threads, STEMMA_DEVICE: config.device,
    STEMMA_LISTEN_HOST: config.listenHost, STEMMA_GATEWAY_PORT: ports.gateway, STEMMA_HTTP_PORT: ports.http, STEMMA_METRICS_PORT: ports.metrics, STEMMA_SCORING_PORT: ports.scoring,
    STEMMA_TEMPORAL_ADDRESS: addresses.temporal, STEMMA_SCORING_ADDRESS: addresses.scoring, STEMMA_GATEWAY_ADDRESS: addresses.gateway, STEMMA_SIDECAR_ADDRESS: addresses.sidecar,
    STEMMA_KEYS_FILE: config.keysFile, STEMMA_GATEWAY_TOKEN_FILE: config.tokenFile,
    ...securityEnvironment(config), ...(config.log.kind === 'kafka' ? kafkaEnvironment(config.log.security) : {}),
    STEMMA_PYTHON: tools.python, STEMMA_TEMPORAL: tools.temporal, STEMMA_JAVA: tools.java, STEMMA_KAFKA: tools.kafka,
  };
  return { ...process.env, ...tracingEnvironment(config.tracing), ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])) };
}

/** Throws one StemmaError('setup', 'INVALID') that lists every problem on a line of its own. */
export function readConfig(environment: Environment = process.env, stronger: Environment = {}): Config {
  const told = { ...environment, ...stronger };
  const problems: string[] = [];
  const reader = new SettingReader({ ...readProfile(told['STEMMA_PROFILE'] ?? '', problems), ...told });
  reader.problems.push(...problems);
  const root = packageRoot();
  reader.refuseUnknown(KNOWN);
  const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(root, path));
  const port = (name: string): number => reader.integer(name, 0, 0, 65_535);
  const toolchain = readToolchain(absolute(reader.text('STEMMA_TOOLCHAIN', join('.stemma', 'toolchain.json'))), reader.problems);
  const home = absolute(reader.text('STEMMA_HOME', '.stemma'));
  const logFile = reader.text('STEMMA_LOG_FILE', '');
  const plain = {
    packageRoot: root,
    home,
    blobs: readBlobs(reader, absolute, join(home, 'blobs')),
    keysFile: absolute(reader.text('STEMMA_KEYS_FILE', join(home, 'gateway-keys.json'))),
    tokenFile: absolute(reader.text('STEMMA_GATEWAY_TOKEN_FILE', join(home, 'gateway.token'))),
    listenHost: reader.text('STEMMA_LISTEN_HOST', '127.0.0.1'),
    logLevel: reader.choice('STEMMA_LOG_LEVEL', 'info', LOG_LEVELS),
    logFile: logFile === '' ? '' : absolute(logFile),
    threads: reader.integer('STEMMA_THREADS', 2, 1, 1024),
    device: reader.choice('STEMMA_DEVICE', 'cpu', ['cpu', 'cuda'] as const),
    ports: Object.freeze({
      gateway: port('STEMMA_GATEWAY_PORT'), http: port('STEMMA_HTTP_PORT'), metrics: port('STEMMA_METRICS_PORT'), scoring: port('STEMMA_SCORING_PORT'),
      temporal: port('STEMMA_TEMPORAL_PORT'), temporalUi: port('STEMMA_TEMPORAL_UI_PORT'),
    }),
    addresses: Object.freeze({
      temporal: reader.address('STEMMA_TEMPORAL_ADDRESS'), scoring: reader.addresses('STEMMA_SCORING_ADDRESS'), gateway: reader.address('STEMMA_GATEWAY_ADDRESS'),
      sidecar: reader.address('STEMMA_SIDECAR_ADDRESS'),
    }),
    tracing: readTracing(reader),
    tools: Object.freeze({
      python: reader.text('STEMMA_PYTHON', toolchain.python),
      temporal: reader.text('STEMMA_TEMPORAL', toolchain.temporal),
      java: reader.text('STEMMA_JAVA', toolchain.java),
      kafka: reader.text('STEMMA_KAFKA', toolchain.kafka),
    }),
    log: readLog(reader, absolute),
  };
  const config: Config = { ...plain, ...readSecurity(reader, plain, absolute) };
  if (reader.problems.length > 0) {
    const title = `${reader.problems.length} problem${reader.problems.length === 1 ? '' : 's'} in the environment's settings`;
    throw new StemmaError('setup', 'INVALID', [title, ...reader.problems.map((problem) => `  ${problem}`)].join('\n'), 'Correct or unset these variables.');
  }
  return Object.freeze(config);
}
