/**
 * The action grammar: one assistant turn is one tool call or one final answer.
 *   <call> NAME WORD* </call>
 *   WORK* <answer> WORD+ </answer>        WORK: a worked solution, ignored by verifiers
 */

export const CALL_OPEN = '<call>';
export const CALL_CLOSE = '</call>';
export const ANSWER_OPEN = '<answer>';
export const ANSWER_CLOSE = '</answer>';

export type Turn =
  | { readonly kind: 'call'; readonly name: string; readonly words: readonly string[] }
  | { readonly kind: 'answer'; readonly words: readonly string[] }
  | { readonly kind: 'invalid'; readonly problem: string };

const TAGS: readonly string[] = [CALL_OPEN, CALL_CLOSE, ANSWER_OPEN, ANSWER_CLOSE];

export function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** Never throws. Each tag may stand once; the problem is an observation that the vocabulary can spell. */
export function parseTurn(text: string): Turn {
  const words = wordsOf(text);
  const tags = words.filter((word) => TAGS.includes(word));
  if (tags.length === 0) return { kind: 'invalid', problem: 'error no call or answer' };
  if (tags.join(' ') === `${CALL_OPEN} ${CALL_CLOSE}`) {
    if (words[0] !== CALL_OPEN || words[words.length - 1] !== CALL_CLOSE) return { kind: 'invalid', problem: 'error words outside call' };
    const name = words[1] as string;
    return name === CALL_CLOSE ? { kind: 'invalid', problem: 'error empty call' } : { kind: 'call', name, words: words.slice(2, -1) };
  }
  if (tags.join(' ') === `${ANSWER_OPEN} ${ANSWER_CLOSE}`) {
    const open = words.indexOf(ANSWER_OPEN);
    if (words[words.length - 1] !== ANSWER_CLOSE) return { kind: 'invalid', problem: 'error words after answer' };
    const answer = words.slice(open + 1, -1);
    return answer.length === 0 ? { kind: 'invalid', problem: 'error empty answer' } : { kind: 'answer', words: answer };
  }
  return { kind: 'invalid', problem: 'error one call or one answer' };
}

/** Words of the problems above. */
export const TURN_PROBLEM_WORDS = ['error', 'no', 'call', 'or', 'answer', 'words', 'outside', 'after', 'empty', 'one', 'unknown', 'tool'] as const;

export function callTurn(name: string, ...words: readonly string[]): string {
  return [CALL_OPEN, name, ...words, CALL_CLOSE].join(' ');
}

export function answerTurn(answer: string, work = ''): string {
  return [work, ANSWER_OPEN, answer, ANSWER_CLOSE].filter((part) => part !== '').join(' ');
}
