// Kafka's jar files and a Java to run them: those that are given, else the cached ones, else fetched with Maven.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { outputOf, runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE, logFile } from './layout.mjs';
import { withLock } from './lock.mjs';
import { javaVersionProblem, JAVA_MINIMUM, KAFKA } from './versions.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

/** What Kafka logs with; 1.7 is the interface it is compiled against. */
const SLF4J = '1.7.36';
const PROJECT = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stemma</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>${SLF4J}</version></dependency>
  </dependencies>
</project>
`;

/** @param {Progress} progress @returns {Promise<{ java: Tool, kafka: Tool }>} */
export async function prepareKafka(progress) {
  const java = findJava();
  const given = process.env['STEMMA_KAFKA'];
  if (given) return { java, kafka: givenKafka(given) };
  const directory = join(CACHE, `kafka-${KAFKA}`);
  let source = 'cached';
  await withLock(`${directory}.lock`, { onWait: (holder) => progress.say(`Kafka is being fetched by ${holder}, waiting for it`) }, async () => {
    if (holdsKafka(directory)) return;
    source = 'fetched with Maven';
    await progress.step(`Kafka ${KAFKA}: Maven packages (43 MB, once)`, () => fetchWithMaven(directory));
    progress.say(`Kafka ${KAFKA}: ${source} (${directory})`);
  });
  return { java, kafka: { executable: directory, version: KAFKA, source: `${source} (${directory})` } };
}

/** @returns {Tool} */
function findJava() {
  const home = process.env['JAVA_HOME'];
  const given = process.env['STEMMA_JAVA'];
  const candidates = given ? [given] : [
    ...(home ? [join(home, 'bin', 'java')] : []),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '').map((directory) => join(directory, 'java')),
  ];
  /** @type {string[]} */
  const problems = [];
  for (const executable of candidates.filter((candidate) => existsSync(candidate))) {
    const printed = outputOf(executable, ['-version']) ?? '';
    const problem = javaVersionProblem(printed);
    if (problem === null) return { executable, version: /version "([^"]+)"/.exec(printed)?.[1] ?? '', source: executable };
    problems.push(`${executable}: ${problem}`);
  }
  throw new SetupFailure(`A Kafka broker needs Java ${JAVA_MINIMUM} or newer${problems.length > 0 ? `; not used: ${problems.join('; ')}` : ', and there is none on the PATH'}.`,
    `Install Java ${JAVA_MINIMUM} (or set JAVA_HOME), or use a broker that runs elsewhere: --log kafka://host:port.`);
}

/** @param {string} directory @returns {Tool} */
function givenKafka(directory) {
  const libraries = holdsKafka(directory) ? directory : join(directory, 'libs');
  if (!holdsKafka(libraries)) throw new SetupFailure(`STEMMA_KAFKA=${directory} holds no Kafka broker (kafka_2.13-*.jar).`, 'Set it to an unpacked Kafka, or unset it.');
  return { executable: libraries, version: jarVersion(libraries), source: 'STEMMA_KAFKA' };
}

/** @param {string} directory */
function holdsKafka(directory) {
  return jarVersion(directory) !== '';
}

/** @param {string} directory @returns {string} '' where there is no broker */
function jarVersion(directory) {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names.map((name) => /^kafka_2\.13-([\d.]+)\.jar$/.exec(name)?.[1] ?? '').find((version) => version !== '') ?? '';
}

/** @param {string} directory */
async function fetchWithMaven(directory) {
  if (outputOf('mvn', ['--version']) === null) {
    throw new SetupFailure('Kafka is fetched with Maven, and there is no mvn on the PATH.', 'Install Maven, or unpack Kafka yourself and set STEMMA_KAFKA to its folder.');
  }
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const pom = join(partial, 'pom.xml');
  writeFileSync(pom, PROJECT);
  // -C: a file that does not match the checksum beside it fails.
  await runCommand('mvn', ['-B', '-q', '-C', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${partial}`], {
    log: logFile('kafka-maven'), remedy: 'Is the network up? Then run the same command again.',
  });
  rmSync(directory, { recursive: true, force: true });
  renameSync(partial, directory);
}
