/**
 * What grpc-js refuses on its own, before a handler or another interceptor hears of it: a message over the size, one that cannot be read, an
 * unknown encoding, a malformed time-out. It has no hook for that, so the status that it sends is looked at; ours come through this interceptor and are known by that.
 */
import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import type { Guard } from './guard.js';

const REASON: { readonly [S in status]?: string } = { [status.RESOURCE_EXHAUSTED]: 'too-large', [status.INTERNAL]: 'malformed', [status.UNIMPLEMENTED]: 'malformed' };

/** The first of a server's interceptors: only the first is given the call that reads the wire. */
export function transportRefusals(guard: Pick<Guard, 'refused'>): ServerInterceptor {
  return ({ path }, call) => {
    const send = call.sendStatus.bind(call);
    let isOurs = false;
    call.sendStatus = (answer) => {
      const reason = isOurs ? undefined : REASON[answer.code ?? status.OK];
      if (reason !== undefined) guard.refused(reason, { method: path.slice(path.lastIndexOf('/') + 1), peer: call.getPeer() });
      // Sent once: what fails after it changes nothing.
      isOurs = true;
      send(answer);
    };
    return new ServerInterceptingCall(call, { sendStatus(answer, next) { isOurs = true; next(answer); } });
  };
}
