// Which Node, Python and Temporal are good enough: pure functions from what a tool prints to a problem, or null.

export const NODE_MINIMUM = '20.19';
export const PYTHON_MINIMUM = '3.11';
export const PYTHON_MAXIMUM = '3.13';
export const TEMPORAL_CLI = '1.5.1';
export const KAFKA = '4.1.1';
export const MINIO = 'v0.0.0-20260212201848-7aac2a2c5b7c';
export const KWOK = 'v0.8.0';
export const KUEUE = 'v0.17.0';
export const JAVA_MINIMUM = 17;
export const PROMETHEUS = '3.13.5';
const PROMETHEUS_MINIMUM = '2.42';
const TEMPORAL_SERVER_MINIMUM = '1.29';

/** @param {string} a @param {string} b compares major.minor only @returns {number} */
function compareMinor(a, b) {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}

/** @param {string} version like `20.19.0`, without the `v` @returns {string | null} */
export function nodeVersionProblem(version) {
  if (/^\d+\.\d+/.test(version) && compareMinor(version, NODE_MINIMUM) >= 0) return null;
  return `Stemma needs Node ${NODE_MINIMUM} or newer; this is Node ${version}. Install a newer Node (for instance with nvm: nvm install 22) and run the same command again.`;
}

/** @param {string} version like `3.12.1` @returns {string | null} */
export function pythonVersionProblem(version) {
  if (/^\d+\.\d+/.test(version) && compareMinor(version, PYTHON_MINIMUM) >= 0 && compareMinor(version, PYTHON_MAXIMUM) <= 0) return null;
  return `Python ${version} is not supported: Stemma needs ${PYTHON_MINIMUM} to ${PYTHON_MAXIMUM}`;
}

/** @param {string} printed what `temporal --version` prints: `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)` @returns {string | null} */
export function temporalVersionProblem(printed) {
  const server = /\bServer (\d+\.\d+(?:\.\d+)?)/.exec(printed)?.[1];
  if (server === undefined) return `it does not say which server it holds (${printed.trim().slice(0, 80) || 'no output'})`;
  if (compareMinor(server, TEMPORAL_SERVER_MINIMUM) >= 0) return null;
  return `its server is ${server}, at least ${TEMPORAL_SERVER_MINIMUM} is needed`;
}

/** @param {string} printed what `java -version` prints: `openjdk version "17.0.15" 2025-04-15 …` @returns {string | null} */
export function javaVersionProblem(printed) {
  const major = /version "(\d+)/.exec(printed)?.[1];
  if (major === undefined) return `it does not say which Java it is (${printed.trim().slice(0, 80) || 'no output'})`;
  return Number(major) >= JAVA_MINIMUM ? null : `it is Java ${major}, at least ${JAVA_MINIMUM} is needed`;
}

/** @param {string} printed what `prometheus --version` prints first: `prometheus, version 3.13.5 (…)` @returns {string | null} */
export function prometheusVersionProblem(printed) {
  const version = /^prometheus, version (\d+\.\d+\.\d+)/.exec(printed)?.[1];
  if (version === undefined) return `it does not say which Prometheus it is (${printed.trim().slice(0, 80) || 'no output'})`;
  return compareMinor(version, PROMETHEUS_MINIMUM) >= 0 ? null : `it is Prometheus ${version}, at least ${PROMETHEUS_MINIMUM} is needed`;
}

/** @param {string} platform process.platform @returns {string | null} */
export function platformProblem(platform) {
  if (platform === 'linux' || platform === 'darwin') return null;
  return `Stemma runs on Linux and macOS, not on ${platform}. On Windows, run it inside WSL 2.`;
}
