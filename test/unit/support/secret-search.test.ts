/** The search can fail a test: what is planted is found, in every form and anywhere in a text. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findSecrets, findSecretsBelow } from '../../support/secret-search.js';

const SECRET = 'pässword/+&="of-the broker';
const secrets = { password: SECRET };
const latin = (text: string): string => Buffer.from(text).toString('latin1');

it.each([
  ['plain', SECRET], ['hex', Buffer.from(`user:${SECRET}`).toString('hex')], ['URL', `kafka://u:${encodeURIComponent(SECRET)}@h`], ['JSON', JSON.stringify({ password: SECRET })],
  ...['', 'u', 'us', 'user:'].map((before) => ['base64', Buffer.from(`${before}${SECRET} and more`).toString('base64')]),
  ['base64', Buffer.from(`:${SECRET}`).toString('base64url')],
])('finds it as %s', (form, text) => {
  expect(findSecrets('a log', `{"msg":"${text}"}`, secrets).map((find) => find.form)).toContain(form);
});

it('does not find what is not there', () => {
  expect(findSecrets('a log', 'user:password of another broker', secrets)).toEqual([]);
});

it('finds one line among the files of a home', () => {
  const home = mkdtempSync(join(tmpdir(), 'stemma-search-'));
  writeFileSync(join(home, 'stemma.jsonl'), latin('{"msg":"ready"}\n'));
  writeFileSync(join(home, 'by-design'), 'token-1-of-somebody');
  const search = () => findSecretsBelow(home, { token: 'token-1-of-somebody' }, ['by-design']);
  expect(search()).toEqual({ files: 1, finds: [] });
  writeFileSync(join(home, 'stemma.jsonl'), '{"msg":"Bearer token-1-of-somebody"}\n', { flag: 'a' });
  expect(search().finds[0]).toEqual({ where: 'stemma.jsonl', secret: 'token', form: 'plain' });
  rmSync(home, { recursive: true });
});
