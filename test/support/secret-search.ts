/** Looks for secrets in whatever a platform leaves behind: as they are, and as base64, hex and URL text would carry them. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Find {
  readonly where: string;
  readonly secret: string;
  readonly form: string;
}

/** Base64 of bytes that stand anywhere in a longer text: each alignment, without the characters that its neighbours share. */
function base64Forms(secret: string): string[] {
  return [0, 1, 2].flatMap((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)]).toString('base64').replace(/=+$/, '');
    const inner = text.slice(shift === 0 ? 0 : shift + 1, text.length - 2);
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** Name → texts, any of which gives it away. */
export function formsOf(secret: string): ReadonlyMap<string, readonly string[]> {
  const hex = Buffer.from(secret).toString('hex');
  return new Map([
    ['plain', [secret]], ['base64', base64Forms(secret)], ['hex', [hex, hex.toUpperCase()]], ['URL', [encodeURIComponent(secret)]], ['JSON', [JSON.stringify(secret).slice(1, -1)]],
    ['UTF-16', [Buffer.from(secret, 'utf16le').toString('latin1')]],
  ]);
}

export function findSecrets(where: string, text: string, secrets: Readonly<Record<string, string>>): Find[] {
  return Object.entries(secrets).flatMap(([secret, value]) => [...formsOf(value)].filter(([, texts]) => texts.some((each) => text.includes(each))).map(([form]) => ({ where, secret, form })));
}

/** Every file below a folder, but those that hold secrets by design. */
export function findSecretsBelow(folder: string, secrets: Readonly<Record<string, string>>, but: readonly string[]): { readonly files: number; readonly finds: readonly Find[] } {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => !but.includes(path) && statSync(join(folder, path), { throwIfNoEntry: false })?.isFile() === true);
  return { files: paths.length, finds: paths.flatMap((path) => findSecrets(path, readFileSync(join(folder, path), 'latin1'), secrets)) };
}
