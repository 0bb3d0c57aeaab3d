import { describe, expect, it } from 'vitest';
import { createClosers } from '../../../../services/runtime/closers.js';

const broken = (): never => { throw new Error('stuck'); };

describe('closers', () => {
  it('run once each, the last added first, also past one that fails', async () => {
    const closed: string[] = [];
    const failures: unknown[] = [];
    const closers = createClosers((error) => failures.push(error));
    closers.add(() => closed.push('first'));
    closers.add(broken);
    closers.add(async () => closed.push('last'));
    await closers.close();
    await closers.close();
    expect(closed).toEqual(['last', 'first']);
    expect(failures).toEqual([new Error('stuck')]);
  });

  it('throw what nobody else hears of', async () => {
    const closers = createClosers();
    closers.add(async () => broken());
    await expect(closers.close()).rejects.toThrow('stuck');
  });
});
