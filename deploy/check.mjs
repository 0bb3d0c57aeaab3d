// `npm run check`: types, lint, import rules, protocol lint, Python lint, text rules, side by side.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { needNode } from './setup/supported.mjs';

needNode();
const { explain, setUp } = await import('./setup/run.mjs');
const { ROOT } = await import('./setup/layout.mjs');
const { duration } = await import('./setup/progress.mjs');
const bin = join(ROOT, 'node_modules', '.bin');
const IN_CI = process.env['CI'] === 'true';

process.exit(await main().catch(explain));

/** @returns {Promise<number>} the exit code */
async function main() {
  const { toolchain, missing } = await setUp(['packages', 'generate', 'lint'], ['lint']);
  const folders = ['core', 'environments', 'workflows', 'services', 'k8s', 'test', 'deploy'].filter((folder) => existsSync(join(ROOT, folder)));
  /** @type {[what: string, command: string, args: string[], cwd?: string][]} */
  const checks = [
    ['types (tsc)', join(bin, 'tsc'), ['-b', '.', 'test', 'deploy']],
    ['code (eslint)', join(bin, 'eslint'), ['.']],
    ['imports (dependency-cruiser)', join(bin, 'depcruise'), ['--config', '.dependency-cruiser.cjs', '--output-type', 'err-long', ...folders]],
    ['protocol (buf lint)', join(bin, 'buf'), ['lint'], join(ROOT, 'proto')],
    ['stored messages (buf breaking)', join(bin, 'buf'), ['breaking', '--against', 'baseline.binpb', '--path', 'stemma/v1/events.proto', '--path', 'stemma/v1/data.proto'], join(ROOT, 'proto')],
    ['HTTP interface (openapi.json)', process.execPath, ['deploy/check/openapi.mjs']],
    ['dashboards (vitest)', join(bin, 'vitest'), ['run', '--project', 'unit', '--reporter=dot', 'test/unit/deploy/observability', 'test/unit/docs']],
    ['pins and licences', process.execPath, ['deploy/check/pins.mjs']],
    ['known vulnerabilities (npm run audit)', process.execPath, ['deploy/check/audit.mjs']],
    ['text (registries, paths, names)', process.execPath, ['deploy/check/tracked.mjs']],
  ];
  const lint = missing.get('lint');
  const ruff = toolchain.ruff ?? 'ruff';
  if (lint === undefined) {
    checks.push(['Python (ruff)', ruff, ['check', '--no-cache', '--config', 'kernels/ruff.toml', 'kernels', 'test/kernels']]);
    checks.push(['compose file (check-jsonschema)', join(dirname(ruff), 'check-jsonschema'), ['--builtin-schema', 'vendor.compose-spec', 'deploy/compose.yaml']]);
  }
  const results = await Promise.all(checks.map(runCheck));
  if (lint !== undefined) console.log(`${IN_CI ? 'FAILED' : 'skipped'}  Python (ruff), compose file (check-jsonschema): ${lint.message}`);
  return results.every((passed) => passed) && (lint === undefined || !IN_CI) ? 0 : 1;
}

/** @param {[what: string, command: string, args: string[], cwd?: string]} check @returns {Promise<boolean>} */
function runCheck([what, command, args, cwd = ROOT]) {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (/** @type {Buffer} */ chunk) => { output += chunk.toString(); });
    child.once('error', reject);
    child.once('close', (code) => {
      const text = output.trim();
      const quiet = code === 0 && !/warning/i.test(text);
      console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${what} (${duration(performance.now() - startedAt)})${quiet || text === '' ? '' : `\n${text}\n`}`);
      resolve(code === 0);
    });
  });
}
