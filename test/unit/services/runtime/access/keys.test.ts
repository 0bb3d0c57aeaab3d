import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { attributionOf, sealed } from '../../../../../services/runtime/access/attribution.js';
import type { Asked } from '../../../../../workflows/messages.js';
import { openKeyring } from '../../../../../services/runtime/access/keyring.js';
import { addKey, keysFileOrNew, readKeysFile, writeKeysFile } from '../../../../../services/runtime/access/keys-file.js';
import { ensureLocalKey, readToken } from '../../../../../services/runtime/access/local-key.js';
import { readConfig } from '../../../../../services/runtime/config.js';

let directory: string;
let file: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'stemma-keys-')); file = join(directory, 'keys.json'); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function make(name: string, scopes: readonly ('read' | 'admin')[] = ['read']): string {
  const added = addKey(keysFileOrNew(file), { name, scopes });
  writeKeysFile(file, added.file);
  return added.token;
}

describe('the file of access keys', () => {
  it('holds hashes, not tokens, for its owner alone', () => {
    const token = make('ana');
    expect(token).toMatch(/^stemma_[\w-]{43}$/);
    expect(readFileSync(file, 'utf8')).not.toContain(token);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readKeysFile(file).keys).toMatchObject([{ name: 'ana', scopes: ['read'] }]);
  });

  it('names every problem at once', () => {
    const [a, b] = ['a', 'b'].map((c) => c.repeat(64));
    writeFileSync(file, JSON.stringify({ seal: 'x', keys: [{ name: 'ana', scopes: [], sha256: a }, { name: 'ana', scopes: ['root'], sha256: b, more: 1 }] }));
    expect(() => readKeysFile(file)).toThrow(/seal[^]*keys\.0\.scopes[^]*keys\.1/);
    writeFileSync(file, 'not json');
    expect(() => readKeysFile(file)).toThrow(expect.objectContaining({ code: 'INVALID', boundary: 'gateway' }));
    expect(() => readKeysFile(join(directory, 'none'))).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  });

  it('takes a name once', () => {
    make('ana');
    expect(() => make('ana')).toThrow(expect.objectContaining({ code: 'INVALID' }));
  });

  it.runIf(process.getuid?.() !== 0)('is not made anew where it cannot be read', () => {
    make('ana');
    chmodSync(file, 0);
    expect(() => make('bea')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  });
});

describe('the keyring', () => {
  it('sees keys that are added and removed, without a restart', () => {
    const ring = openKeyring(file, { warn: vi.fn() });
    expect(ring.holder('stemma_x')).toBeUndefined();
    expect(ring.sealSecret()).toBe('');
    const token = make('ana');
    expect(ring.holder(token)).toMatchObject({ name: 'ana' });
    writeKeysFile(file, { ...readKeysFile(file), keys: [] });
    expect(ring.holder(token)).toBeUndefined();
  });

  it('keeps what it has while the file is broken, and says so once', () => {
    const warn = vi.fn();
    const token = make('ana');
    const ring = openKeyring(file, { warn });
    expect(ring.holder(token)).toBeDefined();
    writeFileSync(file, '{');
    expect([ring.holder(token), ring.holder(token)]).toMatchObject([{ name: 'ana' }, { name: 'ana' }]);
    expect(warn).toHaveBeenCalledTimes(1);
  });
});

describe('the key of this machine', () => {
  it('is made once; a file that somebody provides is left as it is', () => {
    const config = readConfig({ STEMMA_HOME: directory, STEMMA_TOOLCHAIN: join(directory, 'none') });
    expect(readToken(config)).toBe('');
    ensureLocalKey(config);
    const token = readToken(config);
    ensureLocalKey(config);
    expect(readToken(config)).toBe(token);
    expect(openKeyring(config.keysFile, { warn: vi.fn() }).holder(token)).toMatchObject({ scopes: ['admin'] });
    expect(statSync(config.tokenFile).mode & 0o777).toBe(0o600);
    make('theirs');
    const provided = { ...config, keysFile: file, tokenFile: join(directory, 'mine') };
    ensureLocalKey(provided);
    expect(readKeysFile(file).keys.map(({ name }) => name)).toEqual(['theirs']);
    expect(readToken(provided)).toBe('');
  });
});

describe('who asked', () => {
  const secret = Buffer.alloc(32, 7).toString('base64');
  const request = { run: 'r', updateId: 'u', action: 'pause' };
  const who = { by: 'ana', origin: '10.0.0.1' };

  it('is believed under a good seal', () => {
    expect(attributionOf(secret, request, sealed(secret, request, who))).toEqual(who);
  });

  it.each([
    ['nothing', {}, 'unverified'],
    ['a name without a seal', { by: 'ana' }, 'unverified (ana)'],
    ['another name under the seal', { ...sealed(secret, request, who), by: 'bea' }, 'unverified (bea)'],
    ['what a person may have typed', { by: 7, origin: null, seal: {} } as unknown as Asked, 'unverified'],
    ['another origin', { ...sealed(secret, request, who), origin: '::1' }, 'unverified (ana)'],
    ['the seal of another request', sealed(secret, { ...request, action: 'stop' }, who), 'unverified (ana)'],
    ['the seal of another update', sealed(secret, { ...request, updateId: 'v' }, who), 'unverified (ana)'],
    ['a seal made without a secret', sealed('', request, who), 'unverified (ana)'],
  ])('is unverified with %s', (_, asked, by) => {
    expect(attributionOf(secret, request, asked)).toEqual({ by, origin: '' });
  });

  it('is unverified where there is no secret, whatever is sent', () => {
    expect(attributionOf('', request, sealed('', request, who)).by).toBe('unverified (ana)');
    expect(attributionOf('', request, { ...who, seal: 'x' }).by).toBe('unverified (ana)');
  });
});
