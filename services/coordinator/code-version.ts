/** Which code a run was made by: the package version and, in a checkout, the git revision. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export async function codeVersion(packageRoot: string): Promise<{ version: string; revision: string }> {
  const manifest = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  const revision = await promisify(execFile)('git', ['-C', packageRoot, 'describe', '--always', '--dirty'])
    .then(({ stdout }) => stdout.trim(), () => '');
  return { version: manifest.version, revision };
}
