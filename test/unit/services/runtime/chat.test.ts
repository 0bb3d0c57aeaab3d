/** Tokens of conversations. test/support/tokenizer.json and tokenizer-encodings.json were written by Python's `tokenizers`. */
import { readFileSync } from 'node:fs';
import { Template } from '@huggingface/jinja';
import { describe, expect, it } from 'vitest';
import { DOMAINS } from '../../../../core/environment.js';
import type { Message } from '../../../../core/environment.js';
import { CHAT_TEMPLATE, SPECIAL_TOKENS, renderAssistantTurn, renderObservation, renderPrompt } from '../../../../environments/chat-template.js';
import { corpusText } from '../../../../environments/registry.js';
import { openChat } from '../../../../services/runtime/chat.js';
import { environments, play } from '../../../support/environments.js';
import { wordLevelTokenizer } from '../../../support/word-level-tokenizer.js';

const support = (name: string) => readFileSync(new URL(`../../../support/${name}`, import.meta.url), 'utf8');
const chat = openChat(wordLevelTokenizer(corpusText(environments)));

/** Messages as transformers' apply_chat_template takes them. */
function huggingFaceMessages(messages: readonly Message[]) {
  return messages.map((message) => ({
    role: message.role, content: message.content,
    ...(message.toolCalls && { tool_calls: message.toolCalls.map((call) => ({ type: 'function', function: { name: call.name, arguments: call.arguments } })) }),
  }));
}

function renderTemplate(messages: readonly Message[], generation: boolean): string {
  return new Template(CHAT_TEMPLATE).render({ messages: huggingFaceMessages(messages), add_generation_prompt: generation });
}

describe('the chat template', () => {
  it.each(DOMAINS)('renders a whole %s conversation as the concatenation of its pieces', (domain) => {
    const environment = environments[domain];
    for (const variant of environment.variants) {
      const task = environment.task(environment.taskId('train', 4, variant));
      const turns = environment.demonstrate(task, 'tool');
      const { transitions } = play(environment, task, turns);
      const messages: Message[] = [...task.prompt];
      const pieces = [renderPrompt(task.prompt)];
      const tokens = [...chat.encodePrompt(task.prompt)];
      turns.forEach((turn, i) => {
        messages.push({ role: 'assistant', content: turn });
        pieces.push(renderAssistantTurn(turn));
        tokens.push(...chat.encodeAssistant(turn));
        const observation = transitions[i]!.observation;
        if (observation === undefined) return;
        messages.push({ role: 'tool', content: observation });
        pieces.push(renderObservation(observation));
        tokens.push(...chat.encodeObservation(observation));
      });
      const rendered = renderTemplate(messages, false);
      expect(rendered).toBe(pieces.join(' '));
      expect(chat.decode(tokens)).toBe(rendered.replace(/ <end>$/, ''));
    }
  });

  it('renders tool calls as the action grammar spells them', () => {
    const messages: Message[] = [
      { role: 'system', content: 'find' },
      { role: 'user', content: 'find guide of amber harbor' },
      { role: 'assistant', content: '', toolCalls: [{ name: 'read_page', arguments: { title: 'amber harbor' } }] },
      { role: 'tool', content: 'guide calm meadow' },
    ];
    const text = '<system> find <user> find guide of amber harbor <assistant> <call> read_page amber harbor </call> <end> <tool> guide calm meadow <assistant>';
    expect(renderTemplate(messages, true)).toBe(text);
    expect(renderPrompt(messages)).toBe(text);
    const numeric: Message[] = [{ role: 'assistant', content: 'then', toolCalls: [{ name: 'add', arguments: { item: 'lamp', count: 3 } }] }];
    expect(renderTemplate(numeric, false)).toBe('<assistant> then <call> add lamp 3 </call> <end>');
    expect(renderPrompt(numeric)).toBe('<assistant> then <call> add lamp 3 </call> <end> <assistant>');
  });
});

describe('the codec', () => {
  it('decodes what it encodes, for every prompt, turn and observation', () => {
    for (const domain of DOMAINS) {
      const environment = environments[domain];
      for (let index = 0; index < 100; index++) {
        const task = environment.task(environment.taskId('evaluate', index, ''));
        for (const turn of environment.demonstrate(task, '')) {
          const ids = chat.encodeAssistant(turn);
          expect(chat.decode(ids)).toBe(turn);
          expect(ids.at(-1)).toBe(chat.stopTokenIds[0]);
          expect([...ids].some((id) => chat.bannedTokenIds.includes(id))).toBe(false);
        }
        expect(chat.decode(chat.encodePrompt(task.prompt))).toBe(renderPrompt(task.prompt));
      }
    }
  });

  it('puts special tokens first, in order', () => {
    expect([...chat.encodePrompt([{ role: 'user', content: SPECIAL_TOKENS.join(' ') }])].slice(1, -1)).toEqual(SPECIAL_TOKENS.map((_, id) => id));
    expect(chat.stopTokenIds).toEqual([2]);
    expect(chat.bannedTokenIds).toEqual([0, 1, 3, 4, 5, 6]);
    expect(chat.vocabularySize).toBeLessThanOrEqual(512);
  });

  it('spells unknown words as <unk>, and an unfinished turn as it stands', () => {
    expect(chat.decode(chat.encodeAssistant('lamp zebra'))).toBe('lamp <unk>');
    expect(chat.decode(chat.encodeAssistant('lamp bell').subarray(0, 1))).toBe('lamp');
    expect(chat.decode([999999])).toBe('<unk>');
    expect(chat.decode([])).toBe('');
  });

  it("agrees with Python's tokenizers", () => {
    const python = openChat(support('tokenizer.json'));
    const recorded = JSON.parse(support('tokenizer-encodings.json')) as { text: string; ids: number[] }[];
    for (const { text, ids } of recorded) {
      // encodeAssistant appends " <end>": one more id.
      expect([...python.encodeAssistant(text)].slice(0, -1), text).toEqual(ids);
    }
  });

  it('refuses what is no tokenizer, or another one', () => {
    expect(() => openChat('not json')).toThrow(/cannot be read/);
    const other = JSON.parse(wordLevelTokenizer('lamp')) as { added_tokens: { content: string }[]; model: { vocab: Record<string, number> } };
    other.added_tokens = other.added_tokens.filter((token) => token.content !== '<end>');
    delete other.model.vocab['<end>'];
    expect(() => openChat(JSON.stringify(other))).toThrow(/no token <end>/);
  });
});
