/**
 * Text ↔ tokens of conversations, with the run's own tokenizer.json. Pieces are encoded one by one and concatenated,
 * never re-encoded: what the model sampled is what it is trained on.
 */
import { Tokenizer } from '@huggingface/tokenizers';
import type { Message } from '../../core/environment.js';
import { StemmaError } from '../../core/errors.js';
import { BANNED_TOKENS, END_OF_TURN, SPECIAL_TOKENS, renderAssistantTurn, renderObservation, renderPrompt } from '../../environments/chat-template.js';

export interface Chat {
  /** The prompt with the header of the first generated turn. */
  encodePrompt(messages: readonly Message[]): Uint32Array;
  /** What follows an assistant turn's end token: the tool message and the next generation header. */
  encodeObservation(text: string): Uint32Array;
  /** A whole assistant turn with its end token, as a model would have sampled it. */
  encodeAssistant(text: string): Uint32Array;
  /** An assistant turn's text: words separated by single spaces, without the end token. */
  decode(tokens: Uint32Array | readonly number[]): string;
  readonly stopTokenIds: readonly number[];
  /** What a model may never emit: roles, padding, unknown. */
  readonly bannedTokenIds: readonly number[];
  readonly vocabularySize: number;
}

/** INVALID where the text is not a tokenizer.json or lacks a special token. */
export function openChat(tokenizerJson: string): Chat {
  const tokenizer = parseTokenizer(tokenizerJson);
  const vocabulary = tokenizer.get_vocab(true);
  const idOf = (token: string): number => {
    const id = tokenizer.token_to_id(token);
    if (id === undefined) throw invalid(`the tokenizer has no token ${token}`);
    return id;
  };
  SPECIAL_TOKENS.forEach(idOf);
  const endOfTurn = idOf(END_OF_TURN);
  const encode = (text: string): Uint32Array => Uint32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids);
  return {
    encodePrompt: (messages) => encode(renderPrompt(messages)),
    encodeObservation: (text) => encode(renderObservation(text)),
    encodeAssistant: (text) => encode(renderAssistantTurn(text)),
    decode: (tokens) => {
      const ids = Array.from(tokens);
      if (ids[ids.length - 1] === endOfTurn) ids.pop();
      return ids.map((id) => tokenizer.id_to_token(id) ?? '<unk>').join(' ');
    },
    stopTokenIds: [endOfTurn],
    bannedTokenIds: BANNED_TOKENS.map(idOf),
    vocabularySize: Math.max(...vocabulary.values()) + 1,
  };
}

function parseTokenizer(tokenizerJson: string): Tokenizer {
  try {
    // The library does not read the model's own unk_token: without the setting, unknown words get no id.
    return new Tokenizer(JSON.parse(tokenizerJson) as object, { unk_token: '<unk>' });
  } catch (error) {
    throw invalid(`the tokenizer file cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

function invalid(message: string, cause?: unknown): StemmaError {
  return new StemmaError('environment', 'INVALID', message, 'Use the tokenizer.json that the run trained, or delete the run and start anew.', cause);
}
