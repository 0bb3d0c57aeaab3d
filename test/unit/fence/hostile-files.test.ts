/** Nothing that runs unpacks an archive or reads a pickle: what is not there cannot blow up. gRPC's own decompression is bounded (test/integration/gateway). */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const FORBIDDEN: readonly [what: RegExp, ends: string, folders: readonly string[]][] = [
  [/gunzip|inflate|brotliDecompress|createUnzip|unzip|zstdDecompress|DecompressionStream|node:vm|(?<!\.)\beval\(|new Function\(/i, '.ts', ['core', 'environments', 'workflows', 'services', 'k8s']],
  [/\bimport (gzip|zipfile|tarfile|bz2|lzma|zlib|pickle|shelve|marshal|dill|joblib)\b|from (gzip|zipfile|tarfile|bz2|lzma|zlib|pickle) |torch\.load\(|\.read_pickle|yaml\.load\(|trust_remote_code|(?<!\.)\beval\(|(?<!\.)\bexec\(|allow_pickle=True/, '.py', ['kernels/sidecar', 'kernels/ops']],
];

it.each(FORBIDDEN)('no %s', (what, ends, folders) => {
  const files = folders.flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(ends)).map((name) => join(folder, name)));
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter((file) => what.test(readFileSync(join(ROOT, file), 'utf8')))).toEqual([]);
});

it('would see one', () => {
  expect(FORBIDDEN[0]![0].test("import { gunzipSync } from 'node:zlib';")).toBe(true);
  expect(FORBIDDEN[1]![0].test('state = torch.load(path)')).toBe(true);
});
