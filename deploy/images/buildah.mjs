// Debian's buildah without a daemon, a registry or namespaces of its own: it works inside containers too.
import { outputOf, runCommand } from '../setup/command.mjs';
import { SetupFailure } from '../setup/failure.mjs';
import { logFile, ROOT } from '../setup/layout.mjs';

const REMEDY = 'Correct what it names, and run the same command again.';
const ENVIRONMENT = { STORAGE_DRIVER: 'vfs', BUILDAH_ISOLATION: 'chroot' };
const PROGRAMS = { buildah: 'buildah', mmdebstrap: 'mmdebstrap' };

/** Installs what is missing where this user may. */
export async function needPrograms() {
  const lacking = Object.entries(PROGRAMS).filter(([program]) => outputOf(program, ['--version']) === null).map(([, debian]) => debian);
  if (lacking.length === 0) return;
  const remedy = `Install ${lacking.join(' and ')} (Debian, as root: apt-get install ${lacking.join(' ')}), or build the Dockerfiles in deploy/images with Docker.`;
  if (process.getuid?.() !== 0 || outputOf('apt-get', ['--version']) === null) throw new SetupFailure(`Images are built with ${lacking.join(' and ')}, and that is not here.`, remedy);
  await runCommand('apt-get', ['update'], { log: logFile('images-apt-update'), remedy });
  await runCommand('apt-get', ['install', '--yes', '--no-install-recommends', ...lacking], { env: { DEBIAN_FRONTEND: 'noninteractive' }, log: logFile('images-apt'), remedy });
}

/** @param {string} cache */
export function openBuildah(cache) {
  const store = ['--root', `${cache}/store`, '--runroot', `${cache}/run`];
  /** @param {string} what @param {readonly string[]} args */
  const run = (what, args) => runCommand('buildah', [...store, ...args], { env: ENVIRONMENT, log: logFile(`images-buildah-${what}`), remedy: REMEDY });
  return {
    /** @param {{ reference: string, file: string, context?: string, args?: Record<string, string>, stages?: Record<string, string> }} build stages: folders that stand for stages of the Dockerfile */
    async build({ reference, file, context = ROOT, args = {}, stages = {} }) {
      await run('bud', [
        'bud', '--pull=never', ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
        ...Object.entries(stages).flatMap(([name, folder]) => ['--build-context', `${name}=${folder}`]), '-t', reference, '-f', file, context,
      ]);
      await run('prune', ['rmi', '--prune', '--force']);
    },
    /** @param {string} reference @param {string} archive */
    push: (reference, archive) => run('push', ['push', reference, `oci-archive:${archive}:${reference}`]),
    /** @param {string} reference */
    has: (reference) => {
      process.env['STORAGE_DRIVER'] = 'vfs';
      return outputOf('buildah', [...store, 'inspect', '--type', 'image', '--format', '{{.FromImageID}}', reference]) !== null;
    },
  };
}
