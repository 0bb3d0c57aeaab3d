import { readFileSync } from 'node:fs';
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
    expect(refusal(edited(['name: micro', 'name: micro\nname: other']))).toMatch(/unique/i);
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
