// Rewrites kernels/requirements.txt (and requirements-lint.txt, requirements-nvcc.txt) from the .in file beside it:
//   node deploy/setup/pin-requirements.mjs PYTHON [NAME]
// pip resolves once for the interpreter given, then names the wheel it would take for every supported Python and
// platform; only names, versions and SHA-256 hashes are written, never an address. A development tool: set-up does not call it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PYTHONS = ['3.11', '3.12', '3.13'];
const manylinux = (/** @type {string} */ machine) => [
  ...Array.from({ length: 30 }, (_, i) => `manylinux_2_${34 - i}_${machine}`), `manylinux2014_${machine}`, `linux_${machine}`,
];
const PLATFORMS = {
  'linux x86_64': [...manylinux('x86_64'), 'manylinux2010_x86_64', 'manylinux1_x86_64'],
  'linux aarch64': manylinux('aarch64'),
  'macOS arm64': Array.from({ length: 5 }, (_, i) => `macosx_${15 - i}_0_arm64`).concat('macosx_10_9_universal2', 'macosx_10_13_universal2'),
};
/** Wheels that torch asks for on Linux only. */
const LINUX_ONLY = /^(nvidia-|cuda-|triton$)/;

const [python, name = 'requirements'] = process.argv.slice(2);
if (!python) throw new Error('usage: node deploy/setup/pin-requirements.mjs PYTHON [requirements|requirements-lint|requirements-nvcc]');
const scratch = mkdtempSync(join(tmpdir(), 'stemma-pins-'));
const kernels = join(import.meta.dirname, '../../kernels');

/** @param {string[]} args @returns {{name: string, version: string, sha256: string}[]} */
function report(args) {
  const file = join(scratch, 'report.json');
  execFileSync(python ?? '', ['-m', 'pip', 'install', '--quiet', '--dry-run', '--ignore-installed', '--only-binary=:all:',
    '--report', file, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  /** @type {{install: {metadata: {name: string, version: string}, download_info: {archive_info: {hashes: {sha256: string}}}}[]}} */
  const parsed = JSON.parse(readFileSync(file, 'utf8'));
  return parsed.install.map((item) => ({
    name: item.metadata.name.toLowerCase().replace(/[-_.]+/g, '-'),
    version: item.metadata.version,
    sha256: item.download_info.archive_info.hashes.sha256,
  }));
}

const resolved = report(['-r', join(kernels, `${name}.in`)]);
/** @type {Map<string, Set<string>>} */
const hashes = new Map(resolved.map((pin) => [pin.name, new Set([pin.sha256])]));
for (const [platform, tags] of Object.entries(PLATFORMS)) {
  for (const version of PYTHONS) {
    const wanted = resolved.filter((pin) => platform.startsWith('linux') || !LINUX_ONLY.test(pin.name));
    if (wanted.length === 0) continue;
    console.error(`${platform}, Python ${version}: ${wanted.length} wheels`);
    const found = report(['--no-deps', '--target', join(scratch, 'target'), '--python-version', version,
      ...tags.flatMap((tag) => ['--platform', tag]), ...wanted.map((pin) => `${pin.name}==${pin.version}`)]);
    for (const pin of found) hashes.get(pin.name)?.add(pin.sha256);
  }
}

const lines = resolved.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((pin) => {
  const marker = LINUX_ONLY.test(pin.name) ? ' ; sys_platform == "linux"' : '';
  const digests = [...(hashes.get(pin.name) ?? [])].toSorted().map((hash) => ` \\\n    --hash=sha256:${hash}`);
  return `${pin.name}==${pin.version}${marker}${digests.join('')}`;
});
writeFileSync(join(kernels, `${name}.txt`),
  `# Written by deploy/setup/pin-requirements.mjs from ${name}.in: edit that file and run it again.\n${lines.join('\n')}\n`);
rmSync(scratch, { recursive: true });
console.error(`${name}.txt: ${lines.length} packages`);
