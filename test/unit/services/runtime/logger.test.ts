import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { bindLogger, createLogger } from '../../../../services/runtime/logger.js';

const directory = mkdtempSync(join(tmpdir(), 'stemma-logger-'));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('log lines', () => {
  it('are JSON with service, run, stage and episode', () => {
    const file = join(directory, 'deep', 'lines.jsonl');
    const logger = createLogger({ service: 'learner', level: 'info', file });
    bindLogger(bindLogger(logger, { run: 'r', stage: 's' }), { episode: 's.1.0.0.0' }).warn({ tries: 2 }, 'tried again');
    logger.debug('below the level');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toEqual([{ level: 'warn', time: expect.stringMatching(/^\d{4}-.*Z$/) as string, service: 'learner', run: 'r', stage: 's', episode: 's.1.0.0.0', tries: 2, msg: 'tried again' }]);
  });

  it('that cannot be written end nothing', () => {
    // Linux's disk that is always full.
    const logger = createLogger({ service: 'learner', level: 'info', file: '/dev/full' });
    expect(() => logger.info('lost')).not.toThrow();
  });
});
