import { describe, expect, it } from 'vitest';
import { StemmaError } from '../../../../core/errors.js';
import { waitFor } from '../../../../services/runtime/wait-for.js';

const away = (what: string): StemmaError => new StemmaError('temporal', 'UNAVAILABLE', what, 'Wait.');
const failing = (...errors: Error[]) => async (): Promise<string> => {
  const error = errors.shift();
  if (error) throw error;
  return 'open';
};

describe('waiting for what is not there yet', () => {
  it('tries again and says each reason once, on one line', async () => {
    const said: string[] = [];
    const opened = await waitFor(failing(away('away'), away('away'), away('away\n  still')), { onWait: (why) => said.push(why) });
    expect(opened).toBe('open');
    expect(said).toEqual(['away', 'away; still']);
  });

  it('does not wait for what a person must mend, nor for what nobody classified', async () => {
    const said: string[] = [];
    const onWait = (why: string): number => said.push(why);
    await expect(waitFor(failing(new StemmaError('log', 'INVALID', 'wrong password', 'Correct it.')), { onWait })).rejects.toThrow('wrong password');
    await expect(waitFor(failing(new TypeError('a bug')), { onWait })).rejects.toThrow('a bug');
    expect(said).toEqual([]);
  });

  it('ends when nobody wants it any more, with the last reason', async () => {
    const stop = new AbortController();
    await expect(waitFor(() => Promise.reject(away('away')), { onWait: () => stop.abort(), stop: stop.signal })).rejects.toThrow('away');
  });

  it('ends when its time is over', async () => {
    await expect(waitFor(() => Promise.reject(away('away')), { onWait: () => undefined, withinMs: 1 })).rejects.toThrow('away');
  });
});
