import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCli } from '../../../../services/cli/run-cli.js';
import { openKeyring } from '../../../../services/runtime/access/keyring.js';
import { scriptedPlatform, type Scripted } from './scripted-platform.js';

let here: Scripted;
beforeEach(async () => { here = await scriptedPlatform(); });
afterEach(() => here.close());
const cli = (...args: string[]): Promise<number> => runCli(here.deps, args);

describe('keys', () => {
  it('adds, lists and removes; the token is on stdout once and nowhere else', async () => {
    expect(await cli('keys', 'add', 'ana', '--scopes', 'read,control', '--expires-in', '2d')).toBe(0);
    const token = here.out[0] ?? '';
    const ring = openKeyring(join(here.home, 'gateway-keys.json'), { warn: vi.fn() });
    expect(ring.holder(token)).toMatchObject({ name: 'ana', scopes: ['read', 'control'], expiresAt: expect.stringMatching(/^\d{4}-/) as string });
    expect(await cli('keys', 'list')).toBe(0);
    expect(here.out[1]).toMatch(/^ana {2}read,control {2}until \d{4}-/);
    expect([...here.out.slice(1), ...here.err].join('\n')).not.toContain(token);
    expect(await cli('keys', 'remove', 'ana')).toBe(0);
    expect(ring.holder(token)).toBeUndefined();
  });

  it.each([
    [['keys', 'add', 'ana', '--scopes', 'read,root'], /expected some of read,submit,control,admin/],
    [['keys', 'add', 'ana'], /--scopes/],
    [['keys', 'add', 'a b', '--scopes', 'read'], /letters, digits/],
    [['keys', 'list'], /gateway-keys\.json cannot be read: ENOENT/],
    [['keys', 'remove', 'ana'], /cannot be read/],
  ])('%j is refused with what to do', async (args, message) => {
    expect(await cli(...args)).not.toBe(0);
    expect(here.err.join('\n')).toMatch(message);
  });

  it('--profile names the settings of another place', async () => {
    const profile = join(here.home, 'prod.profile');
    writeFileSync(profile, `STEMMA_KEYS_FILE=${join(here.home, 'prod-keys.json')}\n`);
    expect(await cli('--profile', profile, 'keys', 'add', 'ana', '--scopes', 'read')).toBe(0);
    expect(openKeyring(join(here.home, 'prod-keys.json'), { warn: vi.fn() }).holder(here.out[0] ?? '')).toMatchObject({ name: 'ana' });
  });
});
