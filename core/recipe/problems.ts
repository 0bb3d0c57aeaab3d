/** One thing wrong with a recipe: where (a path like `stages[2].sva.topK`, '' for the whole) and why. */
export interface Problem {
  readonly path: string;
  readonly reason: string;
}

/** ['stages', 2, 'sva', 'topK'] → 'stages[2].sva.topK' */
export function pathText(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? part : `.${part}`;
  }
  return text;
}

/** 'rewards.science.correct: must be above 0' as others word it → path and reason. */
export function problemOf(sentence: string): Problem {
  const [, path, reason] = /^([\w.[\]-]+): (.*)$/s.exec(sentence) ?? [];
  return path === undefined || reason === undefined ? { path: '', reason: sentence } : { path, reason };
}
