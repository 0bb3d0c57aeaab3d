import { EventEmitter } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { listenForShutdown } from '../../../../services/runtime/shutdown.js';

describe('listenForShutdown', () => {
  it('asks once, then insists, then gives the signals back', () => {
    const source = new EventEmitter();
    const [onFirst, onSecond] = [vi.fn(), vi.fn()];
    const shutdown = listenForShutdown({ onFirst, onSecond, source });
    expect(shutdown.signal.aborted).toBe(false);
    source.emit('SIGINT', 'SIGINT');
    expect([shutdown.signal.aborted, shutdown.cause(), onFirst.mock.calls, onSecond.mock.calls.length]).toEqual([true, 'SIGINT', [['SIGINT']], 0]);
    source.emit('SIGTERM', 'SIGTERM');
    expect([shutdown.cause(), onFirst.mock.calls.length, onSecond.mock.calls.length]).toEqual(['SIGINT', 1, 1]);
    shutdown.dispose();
    expect(source.eventNames()).toEqual([]);
  });
});
