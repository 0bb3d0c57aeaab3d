/**
 * name → what is replaced in which compiled file. Observing and disturbing patches keep the meaning of what they wrap;
 * those under "broken" are the variants that the checker must catch.
 */
const EMBEDDED = 'services/adapters/log/embedded-log.js';
const KAFKA = 'services/adapters/log/kafka-log.js';
const IMPORTS = `import { naturalKey as keyOf } from '../../../core/log/keys.js';
import { Event as EventBytes } from '../../../proto/gen/stemma/v1/events.js';\n`;
const observed = (send) => `return await stemmaInstrument.append(events, { keyOf, encode: EventBytes.encode, send: (again) => ${send} });`;

export const PATCHES = {
  // ---------------------------------------------------------------- observing
  oracle: [
    { file: EMBEDDED, find: 'export class EmbeddedLog {', replace: `${IMPORTS}export class EmbeddedLog {` },
    { file: EMBEDDED, find: 'return await this.writer.append(events);', replace: observed('this.writer.append(again)') },
    { file: KAFKA, find: 'export class KafkaLog {', replace: `${IMPORTS}export class KafkaLog {` },
    { file: KAFKA, find: 'async append(events) {', replace: `async append(events) { ${observed('this.appendToKafka(again)')} }\n    async appendToKafka(events) {` },
    {
      file: 'services/rollout/patient-sampler.js', find: 'retryUnavailable(() => sampleLoading(input, blob, interrupt), patience)',
      replace: 'retryUnavailable(() => sampleLoading(input, blob, interrupt), patience).then((turn) => stemmaInstrument.sampled(input, turn))',
    },
  ],
  proxied: [
    { file: 'services/runtime/sidecar-process.js', find: 'address: `127.0.0.1:${ready.port}`', replace: "address: stemmaInstrument.via('sidecar', `127.0.0.1:${ready.port}`)" },
    { file: 'services/runtime/temporal-process.js', find: 'address, namespace: NAMESPACE', replace: "address: stemmaInstrument.via('temporal', address), namespace: NAMESPACE" },
    { file: 'services/worker/worker.js', find: 'connectWorkers({ address: spec.address,', replace: "connectWorkers({ address: stemmaInstrument.own('temporal', spec.address)," },
    { file: 'services/adapters/log/kafka-client.js', find: 'connectTcp({ host, port }, onConnect)', replace: "connectTcp(stemmaInstrument.ownEndpoint('broker', { host, port }), onConnect)" },
    { file: 'services/cluster/cluster.js', find: 'scoringPorts.map((port) => `${dialable(config.listenHost)}:${port}`)', replace: "scoringPorts.map((port) => stemmaInstrument.via('teacher-scoring', `${dialable(config.listenHost)}:${port}`))" },
    {
      file: 'services/runtime/kafka-process.js', find: "'advertised.listeners': `PLAINTEXT://${HOST}:${brokers[node]}`",
      replace: "'advertised.listeners': `PLAINTEXT://${stemmaInstrument.via('broker', `${HOST}:${brokers[node]}`)}`",
    },
    { file: 'services/runtime/kafka-process.js', find: 'brokers: addresses.brokers.map((port) => `${HOST}:${port}`)', replace: "brokers: addresses.brokers.map((port) => stemmaInstrument.via('broker', `${HOST}:${port}`))" },
  ],

  // ---------------------------------------------------------------- disturbing, within what the ports allow
  /** A task is delivered twice at once, as Temporal may after a time-out: two holders of the same episodes. */
  'tasks twice': [{
    file: 'services/rollout/rollout-shard.js', find: 'async function runShard(',
    replace: `async function runShard(...work) { return stemmaInstrument.task('rolloutShard', work[1], () => runShardOnce(...work)); }
async function runShardOnce(`,
  }],
  /** A reader gets events twice, as from a broker. */
  'reads twice': [{
    file: 'services/adapters/log/embedded-reader.js', find: 'rows.forEach((row, index) => stored.push(this.decode(row, { stream, position: due + index })));',
    replace: 'rows.forEach((row, index) => stored.push(this.decode(row, { stream, position: due + index })));\n            if (!full) return stemmaInstrument.delivered(stored);',
  }],
  /** Another attempt at a turn samples other tokens, as on a GPU: only then can a zombie's turn be told from the holder's. */
  'sampling differs': [{
    file: 'services/rollout/patient-sampler.js', find: 'return await sampler.sample(input, interrupt);', replace: 'return await sampler.sample(stemmaInstrument.otherSeed(input), interrupt);',
  }],

  // ---------------------------------------------------------------- broken
  'claims ignored': [
    { file: 'core/log/claims.js', find: 'return role === null || claims.get(role) === event.claim;', replace: 'return true;' },
    { file: 'core/log/claims.js', find: 'return newest;', replace: 'return null;' },
    { file: 'services/runtime/claimed-stream.js', find: 'this.lostTo = current === claimId ? null :', replace: 'this.lostTo = true ? null :' },
    { file: 'core/log/fold.js', find: 'if (event.seq !== expectedSeq)', replace: 'if (false)' },
  ],
  'dedupe off': [
    { file: 'core/log/fold.js', find: 'if (seen.has(event.id)) {', replace: 'if (false) {' },
    { file: 'core/log/fold.js', find: 'if (event.seq !== expectedSeq)', replace: 'if (false)' },
    { file: 'core/stage/stage.js', find: 'rounds[payload.value.round] ??= payload.value;', replace: 'rounds.push(payload.value);' },
  ],
  'acknowledged before fsync': [
    { file: 'services/adapters/log/embedded-file.js', find: "db.pragma('synchronous = FULL');", replace: "db.pragma('synchronous = OFF');" },
  ],
};
