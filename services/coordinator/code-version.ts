/** Which code a run was made by: the package version and the git revision: in an image the one that was written down when it was built, elsewhere the checkout's. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** deploy/images/app.mjs writes it: an image has neither git nor a repository. */
const WRITTEN_DOWN = 'revision';

export async function codeVersion(packageRoot: string): Promise<{ version: string; revision: string }> {
  const manifest = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  const written = await readFile(join(packageRoot, WRITTEN_DOWN), 'utf8').then((text) => text.trim(), () => '');
  return { version: manifest.version, revision: written || await ofCheckout(packageRoot) };
}

function ofCheckout(packageRoot: string): Promise<string> {
  return promisify(execFile)('git', ['-C', packageRoot, 'describe', '--always', '--dirty']).then(({ stdout }) => stdout.trim(), () => '');
}
