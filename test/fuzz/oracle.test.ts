/** The oracle can fail: each thing that an answer must not be is seen. */
import { expect, it } from 'vitest';
import { problemOf, type Attempt } from './harness/fuzz.js';
import type { Answer } from './harness/grpc-call.js';

const answer = (changed: Partial<Answer>): Attempt => ({ about: 'x', answer: { grpcStatus: 3, httpStatus: 200, text: 'INVALID: no such thing', how: 'ended', bytes: 0, ...changed } });

it('a refusal with a reason is sound, and so is what a gRPC library says of no message', () => {
  expect(problemOf(answer({}), ['token-1'])).toBeUndefined();
  expect(problemOf(answer({ grpcStatus: 13, text: 'Error deserializing request' }), [])).toBeUndefined();
});

it.each([
  ['a stack trace', { text: 'boom\n    at answer (file:///app/server.js:10:5)' }], ['a stack trace', { text: 'Traceback (most recent call last):' }],
  ['in the answer', { text: 'the key token-1 is wrong' }], ['an unclassified failure', { grpcStatus: 2 }], ['an internal failure', { grpcStatus: 13, text: 'INTERNAL: KeyError: config' }],
  ['an internal failure', { grpcStatus: null, httpStatus: 500 }], ['no answer', { grpcStatus: null, how: 'cancelled' }],
] as const)('%s is a problem', (what, changed) => {
  expect(problemOf(answer(changed), ['token-1'])).toContain(what);
});

it('who must not be let in is', () => {
  expect(problemOf({ ...answer({ grpcStatus: 0, text: '' }), mustFail: true }, [])).toContain('let in');
});
