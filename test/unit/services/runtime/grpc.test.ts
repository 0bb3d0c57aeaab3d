/** The error model crosses the wire unchanged; retries are only for a peer that is away. */
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, StemmaError } from '../../../../core/errors.js';
import { TeacherScoringServiceService } from '../../../../proto/gen/stemma/v1/control.js';
import { REASON_KEY, fromServiceError, retryUnavailable, serveGrpc, toServiceError } from '../../../../services/runtime/grpc.js';

function serviceError(code: status, details = 'why', reason?: string): ServiceError {
  const metadata = new Metadata();
  if (reason !== undefined) metadata.set(REASON_KEY, reason);
  return Object.assign(new Error(details), { code, details, metadata });
}

const gone = () => new StemmaError('sampler', 'UNAVAILABLE', 'gone', 'Wait.');

describe('errors over gRPC', () => {
  test.each(ERROR_CODES)('%s comes back as itself, with its remedy', (code) => {
    const answered = toServiceError(new StemmaError('trainer', code, 'what happened', 'Do this.'));
    const back = fromServiceError('trainer', serviceErrorOf(answered));
    expect(back).toMatchObject({ boundary: 'trainer', code, remedy: 'Do this.' });
    expect(back.message).toContain('what happened');
    expect(back.retriable).toBe(new StemmaError('trainer', code, '', '').retriable);
  });

  test('without a reason the status decides', () => {
    const cases: readonly (readonly [status, string, boolean])[] = [
      [status.UNAVAILABLE, 'UNAVAILABLE', true], [status.DEADLINE_EXCEEDED, 'TIMEOUT', true], [status.CANCELLED, 'UNAVAILABLE', true],
      [status.NOT_FOUND, 'NOT_FOUND', false], [status.DATA_LOSS, 'CORRUPT', false], [status.UNIMPLEMENTED, 'UNSUPPORTED', false],
      [status.UNKNOWN, 'INTERNAL', false], [status.INTERNAL, 'INTERNAL', false], [status.PERMISSION_DENIED, 'FORBIDDEN', false], [status.UNAUTHENTICATED, 'UNAUTHENTICATED', false],
    ];
    for (const [code, expected, retriable] of cases) expect(fromServiceError('scorer', serviceError(code))).toMatchObject({ code: expected, retriable });
    expect(fromServiceError('scorer', serviceError(status.INTERNAL, 'Received RST_STREAM with code 2')).code).toBe('UNAVAILABLE');
    expect(fromServiceError('scorer', serviceError(status.NOT_FOUND, 'x', 'NO_SUCH_REASON')).code).toBe('NOT_FOUND');
  });

  test('a bug answers INTERNAL with its message; a remedy outside ASCII still travels', () => {
    expect(toServiceError(new TypeError('x is not a function'))).toMatchObject({ code: status.INTERNAL, details: 'x is not a function' });
    expect(fromServiceError('scorer', serviceErrorOf(toServiceError(new StemmaError('scorer', 'INVALID', 'm', 'naïve → no')))).remedy).toBe('na?ve ? no');
  });

  function serviceErrorOf(answered: Partial<ServiceError>): ServiceError {
    return Object.assign(new Error(answered.details), answered) as ServiceError;
  }
});

describe('retryUnavailable', () => {
  test('waits for a peer that is away, and reports each wait', async () => {
    let calls = 0;
    const waits: string[] = [];
    const call = () => (++calls < 4 ? Promise.reject(gone()) : Promise.resolve('back'));
    expect(await retryUnavailable(call, { withinMs: 10_000, firstDelayMs: 1, longestDelayMs: 2, onRetry: ({ code }) => waits.push(code) })).toBe('back');
    expect(waits).toEqual(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']);
  });

  test('gives up when its time is over, with the last error', async () => {
    await expect(retryUnavailable(() => Promise.reject(gone()), { withinMs: 20, firstDelayMs: 1 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test.each(['WEIGHTS_NOT_LOADED', 'WRONG_PARENT', 'INVALID'] as const)('%s needs the caller: no second call', async (code) => {
    let calls = 0;
    const call = () => { calls += 1; return Promise.reject(new StemmaError('sampler', code, 'm', 'r')); };
    await expect(retryUnavailable(call, { withinMs: 10_000, firstDelayMs: 1 })).rejects.toMatchObject({ code });
    expect(calls).toBe(1);
  });
});

test('a port in use is one clear error', async () => {
  const nothing = { scoreEpisodes: () => undefined };
  const serve = (port: number) => serveGrpc(TeacherScoringServiceService, nothing, { host: '127.0.0.1', port, boundary: 'scorer' });
  const first = await serve(0);
  const port = Number(first.address.split(':')[1]);
  try {
    await expect(serve(port)).rejects.toMatchObject({ boundary: 'scorer', code: 'UNAVAILABLE', message: expect.stringContaining(`127.0.0.1:${port}`) as string });
  } finally {
    await first.close();
  }
});
