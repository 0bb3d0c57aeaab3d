import { expect, it } from 'vitest';
import { settleAll } from '../../../../services/runtime/settle-all.js';

it('answers in the order asked', async () => {
  let answer = (): void => undefined;
  const first = new Promise<number>((resolve) => { answer = () => resolve(1); });
  const all = settleAll([first, 'two']);
  answer();
  expect(await all).toEqual([1, 'two']);
});

it('throws the first failure of those asked, and not before the last has settled', async () => {
  const settled: string[] = [];
  let finish = (): void => undefined;
  const slow = new Promise<void>((resolve) => { finish = resolve; }).then(() => {
    settled.push('slow');
    throw new Error('asked first');
  });
  const all = settleAll([slow, Promise.reject(new Error('failed first'))]).catch((error: unknown) => {
    settled.push('all');
    return error;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toEqual([]);
  finish();
  expect(await all).toEqual(new Error('asked first'));
  expect(settled).toEqual(['slow', 'all']);
});
