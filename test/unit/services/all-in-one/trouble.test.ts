import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { StemmaError } from '../../../../core/errors.js';
import { watchTrouble, type TroubleWatcher } from '../../../../services/all-in-one/trouble.js';
import { readConfig } from '../../../../services/runtime/config.js';
import { createLogger } from '../../../../services/runtime/logger.js';

const missing = new StemmaError('blob', 'NOT_FOUND', 'blob 12 is missing', 'Put it back.');
const attempt = (id: string): { activity: string; id: string } => ({ activity: 'advanceSft', id });

describe('trouble that a person can mend', () => {
  let watcher: TroubleWatcher;
  afterEach(() => watcher.close());

  function watch(): { said: string[]; givenUp: StemmaError[] } {
    const said: string[] = [];
    const givenUp: StemmaError[] = [];
    watcher = watchTrouble({
      config: readConfig(undefined, { STEMMA_HOME: tmpdir() }), logger: createLogger({ service: 'test', level: 'silent', file: '' }),
      onStart: () => undefined, onTrouble: (message) => said.push(message), onGivenUp: (error) => givenUp.push(error),
    });
    return { said, givenUp };
  }

  it('is said once and given up after eight tries of one call, with what to do', () => {
    const { said, givenUp } = watch();
    for (let tries = 0; tries < 7; tries += 1) watcher.onAttemptFailed?.(attempt('a'), missing);
    expect({ said, givenUp }).toEqual({ said: ['blob 12 is missing. Put it back.'], givenUp: [] });
    watcher.onAttemptFailed?.(attempt('a'), missing);
    expect(givenUp).toMatchObject([{ code: 'NOT_FOUND', message: 'gave up after 8 tries: blob 12 is missing', remedy: expect.stringMatching(/^Put it back\. .*the same command/) as string }]);
  });

  it('counts each call for itself, and from the start after a success', () => {
    const { givenUp } = watch();
    for (let tries = 0; tries < 14; tries += 1) watcher.onAttemptFailed?.(attempt(tries % 2 === 0 ? 'a' : 'b'), missing);
    watcher.onAttemptDone?.(attempt('a'));
    watcher.onAttemptFailed?.(attempt('a'), missing);
    expect(givenUp).toEqual([]);
  });

  it('is not what Temporal retries by itself', () => {
    const { said, givenUp } = watch();
    for (let tries = 0; tries < 20; tries += 1) watcher.onAttemptFailed?.(attempt('a'), new StemmaError('sampler', 'UNAVAILABLE', 'away', 'Wait.'));
    expect({ said, givenUp }).toEqual({ said: [], givenUp: [] });
  });
});
