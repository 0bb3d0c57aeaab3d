/**
 * The fence around pure code, tried from inside: an impure file among all real files of each pure project must not compile.
 * All real files, because a single type-only import that brings Node's types along would open the fence for every one of them.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');

const IMPURE: Record<string, string> = {
  process: 'export const x = process.pid;',
  Buffer: "export const x = Buffer.from('a');",
  setTimeout: 'setTimeout(() => undefined, 1);',
  fetch: "export const x = fetch('http://localhost');",
  console: "console.log('a');",
  performance: 'export const x = performance.now();',
  crypto: 'export const x = crypto.randomUUID();',
  'node:fs': "import { readFileSync } from 'node:fs'; export const x = readFileSync;",
  'node:crypto': "import { createHash } from 'node:crypto'; export const x = createHash;",
  document: 'export const x = document.title;',
};

/** Names that compile in `project` though they should not. */
function openings(project: string): string[] {
  const file = join(root, project, 'tsconfig.json');
  const config = ts.parseJsonConfigFileContent(ts.readConfigFile(file, ts.sys.readFile).config, ts.sys, dirname(file));
  const impure = new Map(Object.entries(IMPURE).map(([name, text], index) => [join(root, project, `fence-${index}.ts`), { name, text }]));
  const host = ts.createCompilerHost(config.options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => impure.has(path) || fileExists(path);
  host.getSourceFile = (path, language, ...rest) => {
    const virtual = impure.get(path);
    return virtual === undefined ? getSourceFile(path, language, ...rest) : ts.createSourceFile(path, virtual.text, language);
  };
  const program = ts.createProgram({
    rootNames: [...config.fileNames, ...impure.keys()],
    options: { ...config.options, composite: false, incremental: false, noEmit: true, tsBuildInfoFile: undefined },
    host,
  });
  return [...impure].filter(([path]) => program.getSemanticDiagnostics(program.getSourceFile(path)).length === 0).map(([, { name }]) => name);
}

describe.each(['core', 'environments', 'workflows'])('%s', (project) => {
  it('does not compile what is not pure', { timeout: 60_000 }, () => {
    expect(openings(project), 'compiles here; does a type-only import bring in Node\'s types?').toEqual([]);
  });
});

it('a fence that is open is noticed: services may do all of this', { timeout: 60_000 }, () => {
  expect(openings('services')).toEqual(expect.arrayContaining(['process', 'Buffer', 'node:fs', 'console']));
});
