/** Every import rule is broken once in a small tree of its own; each must be the one that objects. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');

const BROKEN: readonly [rule: string, file: string, text: string][] = [
  ['core-stands-alone', 'core/upward.ts', "import { b } from '../services/b.js';\nexport const a = b;"],
  ['core-stands-alone', 'core/upward-type.ts', "import type { B } from '../services/b.js';\nexport type A = B;"],
  ['environments-import-core-only', 'environments/upward.ts', "import { b } from '../services/b.js';\nexport const a = b;"],
  ['pure-code-has-no-packages', 'core/package.ts', "import { Kafka } from 'kafkajs';\nexport const a = Kafka;"],
  ['pure-code-has-no-node', 'core/node.ts', "import { readFileSync } from 'node:fs';\nexport const a = readFileSync;"],
  ['pure-code-sees-only-messages', 'core/service-types.ts', "import type { S } from '../proto/gen/stemma/v1/sampler.js';\nexport type A = S;"],
  ['pure-code-takes-types-from-proto', 'core/serialised.ts', "import { e } from '../proto/gen/stemma/v1/events.js';\nexport const a = e;"],
  ['workflows-import-core-only', 'workflows/upward.ts', "import { b } from '../services/b.js';\nexport const a = b;"],
  ['workflows-use-two-packages', 'workflows/package.ts', "import { Kafka } from 'kafkajs';\nexport const a = Kafka;"],
  ['services-below-k8s', 'services/upward.ts', "import { c } from '../k8s/c.js';\nexport const a = c;"],
  ['nothing-imports-tests', 'k8s/tests.ts', "import { t } from '../test/t.js';\nexport const a = t;"],
  ['adapters-know-ports-only', 'services/adapters/log/knows.ts', "import { b } from '../../learner/l.js';\nexport const a = b;"],
  ['runtime-below-services', 'services/runtime/knows.ts', "import { b } from '../learner/l.js';\nexport const a = b;"],
  ['kafkajs-in-one-file', 'services/learner/kafka.ts', "import { Kafka } from 'kafkajs';\nexport const a = Kafka;"],
  ['no-cycle', 'services/cycle-a.ts', "import { y } from './cycle-b.js';\nexport const x = () => y;"],
  ['not-to-unresolvable', 'services/nowhere.ts', "import { x } from './nowhere-else.js';\nexport const a = x;"],
  ['declared-packages-only', 'services/undeclared.ts', "import { x } from 'undeclared';\nexport const a = x;"],
  ['setup-needs-nothing', 'deploy/setup/step.mjs', "import { Kafka } from 'kafkajs';\nexport const a = Kafka;"],
];

const ALLOWED: readonly [file: string, text: string][] = [
  ['services/b.ts', 'export const b = 1;\nexport type B = number;'],
  ['services/learner/l.ts', "import type { A } from '../../core/fine.js';\nexport const b: A | 1 = 1;"],
  ['services/adapters/log/kafka-client.ts', "import { Kafka } from 'kafkajs';\nexport const a = Kafka;"],
  ['services/cycle-b.ts', "import { x } from './cycle-a.js';\nexport const y = () => x;"],
  ['k8s/c.ts', "import { b } from '../services/b.js';\nexport const c = b;"],
  ['test/t.ts', "import { b } from '../services/b.js';\nexport const t = b;"],
  ['core/fine.ts', "import type { E } from '../proto/gen/stemma/v1/events.js';\nexport type A = E;"],
  ['proto/gen/stemma/v1/events.ts', 'export const e = 1;\nexport type E = number;'],
  ['proto/gen/stemma/v1/sampler.ts', 'export type S = number;'],
  ['node_modules/kafkajs/package.json', '{"name":"kafkajs","main":"index.js"}'],
  ['node_modules/kafkajs/index.js', 'exports.Kafka = 1;'],
  ['node_modules/undeclared/package.json', '{"name":"undeclared","main":"index.js"}'],
  ['node_modules/undeclared/index.js', 'exports.x = 1;'],
  ['package.json', '{"dependencies":{"kafkajs":"1"}}'],
  ['tsconfig.base.json', '{"compilerOptions":{"module":"NodeNext","moduleResolution":"NodeNext"}}'],
];

interface Cruised {
  readonly summary: { readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[] };
}

const tree = mkdtempSync(join(tmpdir(), 'stemma-imports-'));
let violations: Cruised['summary']['violations'] = [];

beforeAll(async () => {
  for (const [path, text] of [...ALLOWED, ...BROKEN.map(([, path, text]) => [path, text] as const)]) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), `${text}\n`);
  }
  const depcruise = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [
    depcruise, '--config', join(root, '.dependency-cruiser.cjs'), '--output-type', 'json', 'core', 'environments', 'workflows', 'services', 'k8s', 'test', 'deploy',
  ], { cwd: tree, maxBuffer: 2 ** 26 }).catch((error: { stdout: string }) => error);
  violations = (JSON.parse(stdout) as Cruised).summary.violations;
});
afterAll(() => rmSync(tree, { recursive: true, force: true }));

it.each(BROKEN)('%s objects to %s', (rule, path) => {
  expect(violations.filter(({ from }) => from === path).map((violation) => violation.rule.name)).toContain(rule);
});

it('objects to nothing else', () => {
  const broken = new Set(BROKEN.map(([, path]) => path));
  expect(violations.filter(({ from }) => !broken.has(from) && from !== 'services/cycle-b.ts')).toEqual([]);
});
