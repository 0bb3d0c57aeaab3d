/** The guard as a gRPC interceptor: metadata first, so a stranger's message is never read. */
import { Metadata, ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import { StemmaError } from '../../core/errors.js';
import type { Attribution } from '../runtime/access/attribution.js';
import { toServiceError } from '../runtime/grpc.js';
import type { Guard } from './guard.js';

/** Set by the guard alone: whatever a caller sends under it is dropped. */
const CALLER_KEY = 'stemma-caller-bin';
/** From the headers to the end of the request's message. */
const SLOW_MS = 10_000;

export function guardInterceptor(guard: Guard): ServerInterceptor {
  return ({ path }, call) => {
    const method = path.slice(path.lastIndexOf('/') + 1);
    const peer = call.getPeer();
    let slow: NodeJS.Timeout | undefined;
    let isOver = false;
    const over = (): void => { isOver = true; clearTimeout(slow); };
    const refuse = (error: StemmaError): void => {
      const { code, details, metadata } = toServiceError(error);
      call.sendStatus({ code: code ?? status.UNKNOWN, details: details ?? '', metadata: metadata ?? new Metadata() });
    };
    return new ServerInterceptingCall(call, {
      start: (next) => next({
        onReceiveMetadata(metadata, pass) {
          guard.admit({ method, peer, authorization: metadata.get('authorization')[0]?.toString() ?? '' }).then((caller) => {
            // Whoever hung up meanwhile is not slow.
            if (isOver) return;
            metadata.remove('authorization');
            metadata.set(CALLER_KEY, Buffer.from(JSON.stringify(caller)));
            slow = setTimeout(() => {
              guard.refused('slow', { method, peer });
              refuse(new StemmaError('gateway', 'TIMEOUT', `the request did not arrive within ${SLOW_MS / 1000} s`, 'Send it again, whole.'));
            }, SLOW_MS);
            pass(metadata);
          }).catch((error: unknown) => refuse(error as StemmaError));
        },
        onReceiveMessage: (message, pass) => pass(message),
        onReceiveHalfClose(pass) { clearTimeout(slow); pass(); },
        onCancel: over,
      }),
      sendStatus(answer, next) { over(); next(answer); },
    });
  };
}

/** Of a call that the guard let pass. */
export function callerOf(metadata: Metadata): Attribution {
  return JSON.parse((metadata.get(CALLER_KEY)[0] as Buffer).toString()) as Attribution;
}
