/**
 * How a conversation becomes text. Role tokens open a message; only an assistant turn is closed (by <end>), because
 * the environment writes everything else. The Jinja template and the piece functions say the same thing twice, for
 * exports in Hugging Face format and for token-exact rollouts; a test renders both.
 *
 *   <user> QUESTION <assistant> TURN <end> <tool> OBSERVATION <assistant> TURN <end>
 */
import type { Json, Message, ToolCall } from '../core/environment.js';
import { callTurn } from './turn.js';

export const END_OF_TURN = '<end>';
export const ASSISTANT = '<assistant>';

/** Ids 0…10 of the tokenizer, in this order. */
export const SPECIAL_TOKENS = [
  '<pad>', '<unk>', END_OF_TURN, '<system>', '<user>', ASSISTANT, '<tool>', '<call>', '</call>', '<answer>', '</answer>',
] as const;

/** What an assistant turn never contains. */
export const BANNED_TOKENS = ['<pad>', '<unk>', '<system>', '<user>', ASSISTANT, '<tool>'] as const;

/** Messages are those of transformers' apply_chat_template; a tool call's argument values follow its name in order. */
export const CHAT_TEMPLATE = [
  '{%- for message in messages -%}',
  '{%- if not loop.first -%}{{ " " }}{%- endif -%}',
  '{{ "<" + message["role"] + ">" }}',
  '{%- if message["content"] -%}{{ " " + message["content"] }}{%- endif -%}',
  '{%- if message["tool_calls"] -%}',
  '{%- for call in message["tool_calls"] -%}',
  '{{ " <call> " + call["function"]["name"] }}',
  '{%- for value in call["function"]["arguments"].values() -%}{{ " " + (value | string) }}{%- endfor -%}',
  '{{ " </call>" }}',
  '{%- endfor -%}',
  '{%- endif -%}',
  '{%- if message["role"] == "assistant" -%}{{ " <end>" }}{%- endif -%}',
  '{%- endfor -%}',
  '{%- if add_generation_prompt -%}{{ " <assistant>" }}{%- endif -%}',
].join('');

/** Everything up to and including the header of the first generated turn. */
export function renderPrompt(messages: readonly Message[]): string {
  return [...messages.map(renderMessage), ASSISTANT].join(' ');
}

/** What follows an assistant turn's end token: the tool message and the next generation header. */
export function renderObservation(text: string): string {
  return `<tool> ${text} ${ASSISTANT}`;
}

export function renderAssistantTurn(text: string): string {
  return `${text} ${END_OF_TURN}`;
}

function renderMessage(message: Message): string {
  const calls = (message.toolCalls ?? []).map(renderCall);
  const end = message.role === 'assistant' ? [END_OF_TURN] : [];
  return [`<${message.role}>`, message.content, ...calls, ...end].filter((part) => part !== '').join(' ');
}

function renderCall(call: ToolCall): string {
  return callTurn(call.name, ...argumentValues(call.arguments));
}

function argumentValues(value: Json): string[] {
  if (value === null || typeof value !== 'object') return [String(value)];
  return Object.values(value).map(String);
}
