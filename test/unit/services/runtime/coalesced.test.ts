import { expect, it } from 'vitest';
import { coalesced } from '../../../../services/runtime/coalesced.js';

/** Calls that the test answers. */
function asked(): { calls: { resolve: (value: number) => void; reject: (error: Error) => void }[]; ask: () => Promise<number> } {
  const calls: { resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
  return { calls, ask: coalesced(() => new Promise<number>((resolve, reject) => { calls.push({ resolve, reject }); })) };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('answers nobody with a question asked before it came, and asks once for all who wait', async () => {
  const { calls, ask } = asked();
  const first = ask();
  const later = [ask(), ask(), ask()];
  expect(calls).toHaveLength(1);
  calls[0]!.resolve(1);
  expect(await first).toBe(1);
  await settled();
  expect(calls).toHaveLength(2);
  const latest = ask();
  calls[1]!.resolve(2);
  expect(await Promise.all(later)).toEqual([2, 2, 2]);
  await settled();
  calls[2]!.resolve(3);
  expect(await latest).toBe(3);
});

it('asks again after a failure, which only those who asked it see', async () => {
  const { calls, ask } = asked();
  const first = ask();
  const second = ask();
  calls[0]!.reject(new Error('lost'));
  await expect(first).rejects.toThrow('lost');
  await settled();
  calls[1]!.resolve(2);
  expect(await second).toBe(2);
});
