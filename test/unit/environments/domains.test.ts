/** What holds for every domain: experts succeed, splits are disjoint, steps are reducers, nothing the model writes throws. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DOMAINS } from '../../../core/environment.js';
import type { Domain, Split, Task } from '../../../core/environment.js';
import { StemmaError } from '../../../core/errors.js';
import { renderAssistantTurn, renderObservation, renderPrompt } from '../../../environments/chat-template.js';
import { createEnvironments } from '../../../environments/registry.js';
import { wordsOf } from '../../../environments/turn.js';
import { environments, play } from '../../support/environments.js';

const TASKS_A_VARIANT = 150;
const STYLES: { readonly [D in Domain]: readonly string[] } = { search: ['', 'pages', 'links'], science: ['', 'mixed', 'tool', 'no-tools'], instruction: [''], tools: [''] };

function tasksOf(domain: Domain, split: Split, variant: string, count = TASKS_A_VARIANT): Task[] {
  const environment = environments[domain];
  return Array.from({ length: count }, (_, index) => environment.task(environment.taskId(split, index, variant)));
}

/** Tokens of a demonstrated episode, observations included. */
function episodeTokens(domain: Domain, task: Task, style: string): number {
  const environment = environments[domain];
  const turns = environment.demonstrate(task, style);
  const { transitions } = play(environment, task, turns);
  const observed = transitions.flatMap((transition) => (transition.observation === undefined ? [] : [renderObservation(transition.observation)]));
  return wordsOf([renderPrompt(task.prompt), ...turns.map(renderAssistantTurn), ...observed].join(' ')).length;
}

describe.each(DOMAINS)('%s', (domain) => {
  const environment = environments[domain];
  const cases = environment.variants.flatMap((variant) => STYLES[domain].map((style) => [variant, style] as const));

  it.each(cases)('variant %s, style "%s": every demonstration is correct, in form, and short', (variant, style) => {
    const lengths: number[] = [];
    for (const split of ['train', 'evaluate'] as const) {
      for (const task of tasksOf(domain, split, variant)) {
        const turns = environment.demonstrate(task, style);
        const { state, transitions } = play(environment, task, turns);
        const verdict = environment.verify(task, state);
        expect(verdict, task.id).toMatchObject({ correct: true, formatOk: true, fraction: 1, rounds: turns.length - 1 });
        expect(verdict.rubrics.every(Boolean), task.id).toBe(true);
        expect(transitions.map((transition) => transition.done)).toEqual(turns.map((_, i) => i === turns.length - 1));
        lengths.push(episodeTokens(domain, task, style));
      }
    }
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    console.log(`${domain} ${variant} ${style}: mean ${mean.toFixed(1)}, max ${Math.max(...lengths)} tokens an episode`);
    expect(mean).toBeLessThanOrEqual(128);
  });

  it('no evaluation prompt is a training prompt, across variants', () => {
    const prompts = (split: Split) => new Set(environment.variants.flatMap((variant) => tasksOf(domain, split, variant, 600)).map((task) => task.prompt[0]?.content));
    const train = prompts('train');
    const shared = [...prompts('evaluate')].filter((prompt) => train.has(prompt));
    expect(shared).toEqual([]);
  });

  it('200 tasks of the default mixture are 200 tasks', () => {
    const tasks = tasksOf(domain, 'evaluate', '', 200);
    expect(new Set(tasks.map((task) => task.id)).size).toBe(200);
    expect(new Set(tasks.map((task) => `${task.prompt[0]?.content} ${task.answer}`)).size).toBeGreaterThanOrEqual(['search', 'science'].includes(domain) ? 200 : 195);
  });

  it('the same id is the same task, in another instance too', () => {
    const again = createEnvironments({ search: {}, science: {}, instruction: {}, tools: {} })[domain];
    for (const task of tasksOf(domain, 'evaluate', '', 50)) expect(again.task(task.id)).toEqual(task);
    expect(again.version).toBe(environment.version);
  });

  it('a step is a reducer over JSON states', () => {
    for (const task of tasksOf(domain, 'train', '', 40)) {
      const turns = ['<call> nonsense </call>', ...environment.demonstrate(task, 'tool')];
      const folded = play(environment, task, turns);
      let state = environment.start(task, '');
      turns.forEach((turn, i) => {
        const transition = environment.step(task, JSON.parse(JSON.stringify(state)), turn);
        expect(transition).toEqual(folded.transitions[i]);
        state = JSON.parse(JSON.stringify(transition.state));
      });
      expect(environment.verify(task, state)).toEqual(environment.verify(task, folded.state));
    }
  });

  it('whatever a model writes is answered, never thrown, and never changes the state it was given', () => {
    const task = environment.task(environment.taskId('train', 7, ''));
    const word = fc.constantFrom('<call>', '</call>', '<answer>', '</answer>', '<end>', '<unk>', ...environment.vocabulary);
    fc.assert(fc.property(fc.array(fc.array(word, { maxLength: 8 }), { maxLength: 6 }), (turns) => {
      const start = environment.start(task, '');
      const before = JSON.stringify(start);
      const { state, transitions } = play(environment, task, turns.map((words) => words.join(' ')));
      expect(JSON.stringify(start)).toBe(before);
      expect(JSON.parse(JSON.stringify(state))).toEqual(state);
      for (const transition of transitions) if (!transition.done) expect(wordsOf(transition.observation as string).length).toBeGreaterThan(0);
      const verdict = environment.verify(task, state);
      if (verdict.correct) expect(verdict.formatOk).toBe(true);
    }), { numRuns: 200 });
  });

  it('says what is wrong with a malformed action', () => {
    const task = environment.task(environment.taskId('train', 0, ''));
    const observe = (action: string) => environment.step(task, environment.start(task, ''), action).observation;
    expect(observe('')).toBe('error no call or answer');
    expect(observe('lamp <call> get lamp </call>')).toBe('error words outside call');
    expect(observe('<call> </call>')).toBe('error empty call');
    expect(observe('<answer> </answer>')).toBe('error empty answer');
    expect(observe('<answer> lamp </answer> lamp')).toBe('error words after answer');
    expect(observe('<call> get <answer> lamp </answer>')).toBe('error one call or one answer');
    expect(observe('<call> explode lamp </call>')).toBe('error unknown tool');
  });

  it('links what an action builds on', () => {
    const task = environment.task(environment.taskId('train', 3, environment.variants[0] as string));
    const { transitions } = play(environment, task, environment.demonstrate(task, 'tool'));
    for (const { record } of transitions) {
      if (record.action.name !== 'answer' || domain !== 'tools') expect(record.state.length).toBeGreaterThan(0);
      expect(record.verifier?.passed).toBe(true);
    }
  });

  it('refuses ids and variants that it does not know', () => {
    expect(() => environment.taskId('train', 0, 'no-such-variant')).toThrow(/unknown variant "no-such-variant".*known: /);
    expect(() => environment.taskId('train', -1, '')).toThrow(StemmaError);
    expect(() => environment.task(`${domain}/train/no-such-variant/0`)).toThrow(/is not a task id/);
    expect(() => environment.task('nonsense')).toThrow(StemmaError);
  });
});
