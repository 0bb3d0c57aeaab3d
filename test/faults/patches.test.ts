/** Each patch still finds its place in the compiled code: said here in a second, and not first by a trial that does not start. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

interface Patch {
  readonly file: string;
  readonly find: string;
}

const { PATCHES } = (await import(resolve(import.meta.dirname, 'instrument/patches.mjs'))) as { PATCHES: { readonly [name: string]: readonly Patch[] } };
const DIST = resolve(import.meta.dirname, '../../dist');

it.each(Object.entries(PATCHES))('the patch "%s" finds what it replaces, once', (_, patches) => {
  for (const { file, find } of patches) expect(readFileSync(resolve(DIST, file), 'utf8').split(find), `${file}: ${find}`).toHaveLength(2);
});
