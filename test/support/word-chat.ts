/** A chat codec without a trained tokenizer: one token a word, ids in order of first appearance. For tests of what is not the tokenizer. */
import { DOMAINS } from '../../core/environment.js';
import { BANNED_TOKENS, END_OF_TURN, SPECIAL_TOKENS, renderAssistantTurn, renderObservation, renderPrompt } from '../../environments/chat-template.js';
import type { Environments } from '../../environments/registry.js';
import type { Chat } from '../../services/runtime/chat.js';

export function wordChat(environments: Environments): Chat {
  const words: string[] = [];
  const ids = new Map<string, number>();
  const idOf = (word: string): number => {
    const known = ids.get(word);
    if (known !== undefined) return known;
    ids.set(word, words.length);
    return words.push(word) - 1;
  };
  const encode = (text: string): Uint32Array => Uint32Array.from(text.split(' ').filter((word) => word !== ''), idOf);
  SPECIAL_TOKENS.forEach(idOf);
  for (const domain of DOMAINS) environments[domain].vocabulary.forEach((text) => encode(text));
  const end = idOf(END_OF_TURN);
  return {
    encodePrompt: (messages) => encode(renderPrompt(messages)),
    encodeObservation: (text) => encode(renderObservation(text)),
    encodeAssistant: (text) => encode(renderAssistantTurn(text)),
    decode(tokens) {
      const turn = Array.from(tokens);
      if (turn.at(-1) === end) turn.pop();
      return turn.map((id) => words[id] ?? '<unk>').join(' ');
    },
    stopTokenIds: [end],
    bannedTokenIds: BANNED_TOKENS.map(idOf),
    vocabularySize: words.length,
  };
}
