// `npm run sbom [-- FILE]`: what Stemma is made of, as CycloneDX JSON: npm and Python packages with their hashes, and the Go modules of the test cluster.
// A function of the committed lock files alone: no time and no random number is in it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { goModules } from './check/pins.mjs';

const ROOT = join(import.meta.dirname, '..');

/** @typedef {{ type: 'library', name: string, version: string, purl: string, 'bom-ref': string, hashes?: { alg: string, content: string }[] }} Component */

const { stdout, status, stderr } = spawnSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 });
if (status !== 0) {
  process.stderr.write(`npm sbom failed: ${stderr}\n`);
  process.exit(1);
}
const bom = JSON.parse(stdout);
bom.components.push(...python(), ...go());
bom.components.sort((/** @type {Component} */ a, /** @type {Component} */ b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
delete bom.metadata.timestamp;
delete bom.serialNumber;
const digest = createHash('sha256').update(JSON.stringify(bom)).digest('hex');
bom.serialNumber = `urn:uuid:${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-8${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
const file = resolve(process.argv[2] ?? join(ROOT, '.stemma', 'sbom.json'));
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(bom, null, 2)}\n`);
console.log(`${bom.components.length} packages: ${file}`);

/** @param {'pypi' | 'golang'} kind @param {string} name @param {string} version @param {Component['hashes']} hashes @returns {Component} */
function component(kind, name, version, hashes) {
  const purl = `pkg:${kind}/${name}@${version}`;
  return { type: 'library', name, version, purl, 'bom-ref': purl, ...(hashes !== undefined && { hashes }) };
}

/** @returns {Component[]} */
function python() {
  const text = readFileSync(join(ROOT, 'kernels/requirements.txt'), 'utf8').replaceAll('\\\n', ' ');
  return text.split('\n').flatMap((line) => {
    const found = /^([A-Za-z0-9._-]+)==([^\s;]+)/.exec(line);
    const hashes = [...line.matchAll(/--hash=sha256:([0-9a-f]{64})/g)].map(([, content = '']) => ({ alg: 'SHA-256', content }));
    return found === null ? [] : [component('pypi', (found[1] ?? '').toLowerCase(), found[2] ?? '', hashes)];
  });
}

/** @returns {Component[]} go.sum hashes a tree of files, which CycloneDX has no name for: the versions alone. */
function go() {
  const text = readFileSync(join(ROOT, 'deploy/kube/go.mod'), 'utf8');
  return goModules(text).map(({ path, version }) => component('golang', path, version, undefined));
}
