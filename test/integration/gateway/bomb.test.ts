/** A request that is small on the wire and large when unpacked is refused by its unpacked size; the gateway goes on. */
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { GetRunRequest } from '../../../proto/gen/stemma/v1/control.js';
import { framed, GrpcWire } from '../../fuzz/harness/grpc-call.js';
import { openToldGateway } from '../../support/told-gateway.js';

it('a gzip bomb', async () => {
  const gateway = await openToldGateway();
  const wire = new GrpcWire(gateway.address);
  const call = (body: Uint8Array) => wire.call({ path: '/stemma.v1.ControlService/GetRun', body, patienceMs: 20_000, headers: { authorization: 'Bearer stemma_x', 'grpc-encoding': 'gzip' } });
  const packed = (bytes: number): Uint8Array => framed(gzipSync(GetRunRequest.encode({ run: 'x'.repeat(bytes) }).finish()), undefined, 1);
  const bomb = packed(64 * 1024 * 1024);
  expect(bomb.length).toBeLessThan(100_000);
  expect((await call(bomb)).grpcStatus).toBe(8);
  // The same, small: it is read, and there is no such run.
  expect((await call(packed(10))).grpcStatus).toBe(5);
  wire.close();
  await gateway.close();
});
