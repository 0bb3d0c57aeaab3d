/** Set-up of Python in a tree of its own: the real set-up files, and an interpreter that is a shell script. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPython } from '../../../../deploy/setup/python-steps.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../../..');

describe('the choice of an interpreter', () => {
  const machine = (versions: Record<string, string>, withVenv = true) => (command: string, args: readonly string[]) => {
    const version = versions[command];
    if (version === undefined) return null;
    if (args[0] === '--version') return `Python ${version}`;
    return withVenv ? `/usr/bin/${command}\n${version}` : null;
  };

  it('takes the first that will do', () => {
    expect(findPython(machine({ python3: '3.10.2', 'python3.11': '3.11.4' }))).toEqual({ executable: '/usr/bin/python3.11', version: '3.11.4' });
    expect(findPython(machine({ python3: '3.13.0' }))).toEqual({ executable: '/usr/bin/python3', version: '3.13.0' });
  });

  it('names what it found when nothing will do', () => {
    expect(() => findPython(machine({ python3: '3.9.2', python: '2.7.18' }))).toThrow('No Python 3.11 to 3.13 was found: python3 is Python 3.9.2; python is Python 2.7.18.');
    expect(() => findPython(machine({}))).toThrow('No Python 3.11 to 3.13 was found on the PATH.');
  });

  it('says so when Python cannot make environments', () => {
    expect(() => findPython(machine({ python3: '3.11.2' }, false))).toThrow('python3 is Python 3.11.2 without the venv module (Debian: apt-get install python3-venv)');
  });
});

describe('the command', () => {
  let tree = '';
  beforeEach(() => {
    tree = mkdtempSync(join(tmpdir(), 'stemma-python-'));
    cpSync(join(root, 'deploy/setup'), join(tree, 'deploy/setup'), { recursive: true });
    mkdirSync(join(tree, 'kernels/sidecar'), { recursive: true });
    writeFileSync(join(tree, 'kernels/requirements.txt'), 'torch==2.13.0\n');
    mkdirSync(join(tree, 'bin'));
  });
  afterEach(() => rmSync(tree, { recursive: true, force: true }));

  /** An interpreter that makes environments out of itself, notes what pip is asked, and lets pip fail while `pip-fails` exists. */
  function installPython(version: string): void {
    const script = `#!/bin/sh
if [ "$1" = --version ]; then echo "Python ${version}"; exit; fi
if [ "$1" = -c ]; then printf '%s\\n%s\\n' "$0" "${version}"; exit; fi
if [ "$2" = venv ]; then /bin/mkdir -p "$3/bin"; /bin/cp "$0" "$3/bin/python"; exit; fi
if [ "$2" = pip ]; then echo install >> "${tree}/pip-calls"; if [ -e "${tree}/pip-fails" ]; then echo "no network"; exit 1; fi; exit; fi
if [ "$2" = ops.build ]; then /bin/mkdir -p "${tree}/kernels/ops/built"; exit; fi
/bin/mkdir -p "${tree}/kernels/sidecar/gen/stemma/v1"; : > "${tree}/kernels/sidecar/gen/stemma/v1/events_pb2.py"
`;
    writeFileSync(join(tree, 'bin/python3'), script);
    chmodSync(join(tree, 'bin/python3'), 0o755);
  }

  function setUp(): { status: number | null; stderr: string } {
    return spawnSync(process.execPath, [join(tree, 'deploy/setup/setup.mjs'), '--only=python'], {
      encoding: 'utf8', env: { PATH: join(tree, 'bin'), XDG_CACHE_HOME: join(tree, 'cache') },
    });
  }
  const pipCalls = () => readFileSync(join(tree, 'pip-calls'), 'utf8').trim().split('\n').length;

  it('refuses an old Python with one message and a non-zero exit', () => {
    installPython('3.10.2');
    const { status, stderr } = setUp();
    expect(status).toBe(1);
    expect(stderr).toContain('Set-up failed. No Python 3.11 to 3.13 was found: python3 is Python 3.10.2.\n→ Install Python 3.12');
    expect(stderr).not.toContain('    at ');
  });

  it('installs once; an install that broke off is done again', () => {
    installPython('3.12.1');
    writeFileSync(join(tree, 'pip-fails'), '');
    const broken = setUp();
    expect(broken.status).toBe(1);
    expect(broken.stderr).toContain('no network');
    rmSync(join(tree, 'pip-fails'));
    expect(setUp().status).toBe(0);
    expect(pipCalls()).toBe(2);
    const again = setUp();
    expect(again.stderr).toMatch(/^Set-up is up to date .* Python 3\.12\.1\n$/);
    expect(pipCalls()).toBe(2);
    const { python } = JSON.parse(readFileSync(join(tree, '.stemma/toolchain.json'), 'utf8')) as { python: string };
    expect(existsSync(python)).toBe(true);
    expect(python.startsWith(join(tree, 'cache/stemma/python-'))).toBe(true);
  });

  it('makes another environment for other pins', () => {
    installPython('3.12.1');
    setUp();
    writeFileSync(join(tree, 'kernels/requirements.txt'), 'torch==2.13.1\n');
    expect(setUp().status).toBe(0);
    expect(pipCalls()).toBe(2);
  });
});
