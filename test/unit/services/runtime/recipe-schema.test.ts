import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LineCounter, isScalar, parseDocument, visit } from 'yaml';
import { StemmaError } from '../../../../core/errors.js';
import { packageRoot } from '../../../../services/runtime/package-root.js';
import { loadRecipe, parseRecipe, recipeNames } from '../../../../services/runtime/recipe-schema.js';

const micro = readFileSync(join(packageRoot(), 'recipes', 'micro.yaml'), 'utf8');

/** Replaces exactly one occurrence; a test that edits nothing would test nothing. */
function edited(...edits: readonly (readonly [string, string])[]): string {
  return edits.reduce((text, [from, to]) => {
    expect(text.includes(from), `recipes/micro.yaml holds: ${from}`).toBe(true);
    return text.replace(from, to);
  }, micro);
}

function refusal(yaml: string): string {
  try {
    parseRecipe(yaml, 'r.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(StemmaError);
    const refused = error as StemmaError;
    expect([refused.boundary, refused.code]).toEqual(['recipe', 'INVALID']);
    expect(refused.remedy).not.toBe('');
    return refused.message;
  }
  throw new Error('the recipe was accepted');
}

describe('shipped recipes', () => {
  it.each(['micro', 'tiny', 'agents-a1'])('%s is valid', async (name) => {
    expect((await loadRecipe(name)).name).toBe(name);
  });

  it('are listed', async () => {
    expect(await recipeNames()).toEqual(expect.arrayContaining(['agents-a1', 'micro', 'tiny']));
  });

  it('micro holds every kind of stage', async () => {
    const { stages } = await loadRecipe('micro');
    expect(stages.map((stage) => `${stage.id}:${stage.kind}`)).toEqual([
      'sft:sft', 'search-rl:rl', 'science-sft1:sft', 'science-sft2:sft', 'instruction-rl1:rl', 'instruction-rl2:rl',
      'tools-sft:sft', 'tools-rl:rl', 'distill:distill',
    ]);
    expect(stages.flatMap((stage) => (stage.kind === 'sft' ? [stage.dataset.source] : []))).toContain('self-sampled');
    expect(stages.flatMap((stage) => (stage.kind === 'rl' ? [`${stage.advantage.kind}/${stage.tasks.source}`] : []))).toContain('asymmetric/hard-set');
  });

  it('agents-a1 marks every value as the paper\'s or ours', () => {
    const text = readFileSync(join(packageRoot(), 'recipes', 'agents-a1.yaml'), 'utf8');
    const lines = text.split('\n');
    const counter = new LineCounter();
    const unmarked: string[] = [];
    visit(parseDocument(text, { lineCounter: counter }), {
      Pair(_, pair) {
        if (!isScalar(pair.key) || !isScalar(pair.value) || !pair.key.range) return;
        const line = lines[counter.linePos(pair.key.range[0]).line - 1] ?? '';
        const isStructure = ['name', 'description', 'id', 'domain'].includes(String(pair.key.value)) || /^ {4}kind:/.test(line);
        if (!isStructure && !/# .*(paper|ours)/.test(line)) unmarked.push(line);
      },
    });
    expect(unmarked).toEqual([]);
  });
});

describe('a recipe that cannot be', () => {
  it('names unknown keys with path and line', () => {
    const message = refusal(edited(['evaluation: { tasksPerDomain: 8 }', 'evaluation: { tasksPerDomain: 8, tasks: 9 }']));
    expect(message).toMatch(/evaluation\.tasks \(line \d+\): unknown key/);
  });

  it('names wrong types', () => {
    expect(refusal(edited(['tasksPerDomain: 8', 'tasksPerDomain: many']))).toMatch(/evaluation\.tasksPerDomain .*expected int|number/);
  });

  it('refuses a domain without a route', () => {
    expect(refusal(edited(['\n  tools: tools-rl', '']))).toMatch(/teachers\.tools.*no route.*'none'/);
  });

  it('refuses a route to a stage that is not there', () => {
    expect(refusal(edited(['\n  tools: tools-rl', '\n  tools: tools-rx']))).toMatch(/teachers\.tools.*no stage has the id 'tools-rx'/);
  });

  it('refuses k < 2', () => {
    expect(refusal(edited(['topK: 16', 'topK: 1']))).toMatch(/stages\[8\]\.sva\.topK \(line \d+\): expected ≥ 2/);
  });

  it('refuses a cycle through teachers', () => {
    const message = refusal(edited(['\n  tools: tools-rl', '\n  tools: distill']));
    expect(message).toMatch(/stages\[8\].*cycle of references: distill → distill/);
  });

  it('refuses a cycle through init, and says it once', () => {
    const message = refusal(edited(['init: tools-sft', 'init: distill'], ['\n    reference: tools-sft', '\n    reference: sft']));
    expect(message.match(/cycle/g)).toHaveLength(1);
    expect(message).toContain('tools-rl → distill → tools-rl');
  });

  it('refuses a reference to a later stage', () => {
    expect(refusal(edited(['reference: sft\n    domain: search', 'reference: tools-sft\n    domain: search']))).toMatch(/stages\[1\]\.reference.*'tools-sft' comes later/);
  });

  it('refuses an unknown moment at which weights change', () => {
    expect(refusal(edited(['domain: search\n    variant: \'\'', 'domain: search\n    variant: \'\'\n    asynchronous: { maxStaleness: 1, inFlight: sometimes }'])))
      .toMatch(/stages\[1\]\.asynchronous\.inFlight \(line \d+\): .*between-turns.*inside-turn/);
  });

  it('refuses an alias bomb', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...'bcdefghi'.split('').map((key, index) => {
      const before = 'abcdefgh'[index];
      return `${key}: &${key} [${Array.from({ length: 9 }, () => `*${before}`).join(',')}]`;
    })].join('\n');
    expect(refusal(bomb)).toMatch(/aliases refused/);
  });

  it('refuses a file that is too large, broken YAML and a key given twice', () => {
    expect(refusal(`name: ${'x'.repeat(300_000)}`)).toMatch(/at most 262144/);
    expect(refusal('name: [')).toMatch(/line 1/);
    expect(refusal(edited(['name: micro', 'name: micro\nname: other']))).toMatch(/duplicate key/);
  });

  it.each([['brackets', '['.repeat(250_000)], ['closed brackets', `x: ${'['.repeat(100_000)}${']'.repeat(100_000)}`], ['maps', `${'{a: '.repeat(40_000)}`], ['dashes', '- '.repeat(100_000)], ['questions', '? '.repeat(100_000)], ['dashes on lines', '-\n'.repeat(50_000)],
    ['settings', micro.replace(/config:\n/, `config:\n    deep: ${'['.repeat(20_000)}${']'.repeat(20_000)}\n`)]])('refuses what is nested without end: %s', (_what, yaml) => {
    expect(refusal(yaml)).toMatch(/r\.yaml: \d+ problems?\n/);
  });

  it.each(['__proto__: { polluted: 1 }', '"__proto__": { "polluted": 1 }'])('refuses %s at the top and within settings, and nothing is polluted', (key) => {
    expect(refusal(`${micro}\n${key}\n`)).toContain('__proto__');
    expect(refusal(micro.replace(/config:\n/, `config:\n    ${key}\n`))).toContain('__proto__');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it.each(['1e999', '.inf', '-.inf', '.nan', '99999999999999999999999999', '-1', '0x7fffffffffffffffffff', '"8"', '!!binary aGk='])('refuses the number %s', (value) => {
    expect(refusal(micro.replace('tasksPerDomain: 8', `tasksPerDomain: ${value}`))).toContain('evaluation.tasksPerDomain');
  });

  it('runs nothing and reads nothing that a tag names', () => {
    for (const tag of ['!!js/function "function () { throw 1 }"', '!include /etc/passwd', '!!python/object/apply:os.system [id]']) expect(refusal(`${micro}\nevil: ${tag}\n`)).toMatch(/problem/);
  });

  it('a path that is no recipe is refused, and no word of the file is in what is said', async () => {
    const home = mkdtempSync(join(tmpdir(), 'stemma-recipe-'));
    const secret = join(home, 'secret.yaml');
    writeFileSync(secret, 'password: "hunter-two-and-more\n\t- : [');
    await expect(loadRecipe(secret)).rejects.toMatchObject({ code: 'INVALID', message: expect.not.stringContaining('hunter') as string });
    writeFileSync(join(home, 'large.yaml'), '#'.repeat(300_000));
    await expect(loadRecipe(join(home, 'large.yaml'))).rejects.toMatchObject({ code: 'INVALID' });
    symlinkSync('/dev/zero', join(home, 'endless.yaml'));
    for (const path of [join(home, 'endless.yaml'), '/etc/passwd', '/dev/zero', '/proc/self/environ', '../../etc/passwd', 'a\0b', 'x'.repeat(10_000)]) {
      await expect(loadRecipe(path), path).rejects.toMatchObject({ boundary: 'recipe', code: expect.stringMatching(/INVALID|NOT_FOUND/) as string });
    }
    execFileSync('mkfifo', [join(home, 'pipe.yaml')]);
    await expect(loadRecipe(join(home, 'pipe.yaml'))).rejects.toMatchObject({ code: 'INVALID' });
    rmSync(home, { recursive: true });
  });

  it('refuses what is no mapping', () => {
    expect(refusal('42')).toMatch(/recipe.*expected object/);
    expect(refusal('')).toMatch(/recipe.*expected object/);
  });

  it('refuses settings and variants that the environments do not know', () => {
    expect(refusal(edited(['  search: {}', '  search: { pages: 12, depth: 3 }']))).toMatch(/environments\.search\.depth.*unknown setting[^]*environments\.search\.pages.*from 150/);
    expect(refusal(edited(['variant: context', 'variant: contexts']))).toMatch(/stages\[5\]\.variant \(line \d+\): .*unknown variant "contexts"/);
  });

  it('refuses rewards that rank a wrong answer above a right one', () => {
    expect(refusal(edited(['efficiencyCap: 0.2', 'efficiencyCap: 0.9']))).toMatch(/rewards\.search \(line \d+\): correct \(1\) must exceed/);
  });

  it('reports many problems together, a line each', () => {
    const message = refusal(edited(
      ['name: micro', 'name: micro\ncolour: blue'],
      ['topK: 16', 'topK: 1'],
      ['\n  science: science-sft2', ''],
      ['init: tools-sft', 'init: distill'],
      ['shardEpisodes: 16', 'shardEpisodes: yes'],
    ));
    const lines = message.split('\n');
    expect(lines[0]).toBe('r.yaml: 5 problems');
    expect(lines).toHaveLength(6);
    for (const part of ['colour', 'sva.topK', 'teachers.science', 'cycle of references', 'rollout.shardEpisodes']) expect(message).toContain(part);
  });
});

describe('loadRecipe', () => {
  it('says which recipes there are', async () => {
    await expect(loadRecipe('huge')).rejects.toMatchObject({ code: 'NOT_FOUND', remedy: expect.stringContaining('tiny') as string });
    await expect(loadRecipe('./nowhere.yaml')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
