/** A tokenizer.json like the one the sidecar trains: WordLevel, whitespace split, special tokens first. Words by count, then alphabet. */
import { SPECIAL_TOKENS } from '../../environments/chat-template.js';

export function wordLevelTokenizer(corpus: string): string {
  const counts = new Map<string, number>();
  for (const word of corpus.split(/\s+/)) if (word !== '') counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts.keys()].sort((a, b) => (counts.get(b) as number) - (counts.get(a) as number) || (a < b ? -1 : 1));
  const special = (content: string, id: number) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
  return JSON.stringify({
    version: '1.0', truncation: null, padding: null, added_tokens: SPECIAL_TOKENS.map(special), normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' }, post_processor: null, decoder: null,
    model: { type: 'WordLevel', vocab: Object.fromEntries([...SPECIAL_TOKENS, ...words].map((word, id) => [word, id])), unk_token: '<unk>' },
  });
}
