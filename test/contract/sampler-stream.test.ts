/** The sidecar sampler's stream against a real gRPC server whose answers the test chooses. */
import { Metadata, Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StemmaError } from '../../core/errors.js';
import { packF32, packU32 } from '../../core/log/bytes.js';
import type { SampleInput } from '../../core/ports.js';
import { SampleResponse, SamplerServiceService, type SampleRequest } from '../../proto/gen/stemma/v1/sampler.js';
import { sidecarSampler, type SidecarSampler } from '../../services/adapters/sampler/sidecar.js';

type Stream = ServerDuplexStream<SampleRequest, SampleResponse>;

/** Serves SamplerService; `next()` is the next request that arrives, on whichever stream. */
class ScriptedServer {
  readonly streams: Stream[] = [];
  private readonly arrived: { stream: Stream; request: SampleRequest }[] = [];
  private readonly waiting: ((arrival: { stream: Stream; request: SampleRequest }) => void)[] = [];
  private server = new Server();
  port = 0;

  async start(): Promise<void> {
    this.server = new Server();
    this.server.addService(SamplerServiceService, {
      sample: (stream: Stream) => {
        this.streams.push(stream);
        stream.on('data', (request: SampleRequest) => {
          const waiter = this.waiting.shift();
          if (waiter) waiter({ stream, request });
          else this.arrived.push({ stream, request });
        });
        stream.on('end', () => stream.end());
        stream.on('error', () => undefined);
      },
      loadWeights: (call: { request: { weightsHash: string } }, callback: (error: object | null, response?: object) => void) => {
        if (call.request.weightsHash === 'known') return callback(null, { wasLoaded: false });
        const metadata = new Metadata();
        metadata.set('stemma-reason', 'NOT_FOUND');
        callback({ code: status.NOT_FOUND, details: 'no such blob', metadata });
      },
    });
    this.port = await new Promise((resolve, reject) => this.server.bindAsync(`127.0.0.1:${this.port}`, ServerCredentials.createInsecure(),
      (error, port) => (error ? reject(error) : resolve(port))));
  }

  next(): Promise<{ stream: Stream; request: SampleRequest }> {
    const arrival = this.arrived.shift();
    return arrival ? Promise.resolve(arrival) : new Promise((resolve) => this.waiting.push(resolve));
  }

  kill(): void {
    this.server.forceShutdown();
  }
}

function input(first: number): SampleInput {
  return {
    weightsHash: 'w', tokens: Uint32Array.of(first, 2), maxNewTokens: 4, stopTokenIds: [1], seed: 2n ** 63n, greedy: false,
    temperature: 1, bannedTokenIds: [0],
  };
}

function answer(request: SampleRequest, tokens: number[], more: Partial<SampleResponse> = {}): SampleResponse {
  return SampleResponse.fromPartial({ requestId: request.requestId, tokens: packU32(tokens), logprobs: packF32(tokens.map(() => -1)), weightsHash: request.weightsHash, finish: 'stop', ...more });
}

async function failureOf(promise: Promise<unknown>): Promise<StemmaError> {
  const error: unknown = await promise.then(() => undefined, (reason: unknown) => reason);
  if (!(error instanceof StemmaError)) throw new Error(`expected a StemmaError, got ${String(error)}`);
  return error;
}

describe('the sampler stream', () => {
  let server: ScriptedServer;
  let sampler: SidecarSampler;

  beforeEach(async () => {
    server = new ScriptedServer();
    await server.start();
    sampler = sidecarSampler(`127.0.0.1:${server.port}`);
  });

  afterEach(() => {
    sampler.close();
    server.kill();
  });

  test('many requests share one stream, and answers in any order find theirs', async () => {
    const asked = [10, 11, 12].map((first) => sampler.sample(input(first)));
    const arrivals = [await server.next(), await server.next(), await server.next()];
    expect(server.streams.length).toBe(1);
    expect(arrivals[0]!.request.seed).toBe(2n ** 63n);
    for (const { stream, request } of arrivals.reverse()) stream.write(answer(request, [request.tokens[0]!, 1]));
    const sampled = await Promise.all(asked);
    expect(sampled.map(({ tokens }) => [...tokens])).toEqual([[10, 1], [11, 1], [12, 1]]);
    expect([...sampled[0]!.logprobs]).toEqual([-1, -1]);
  });

  test('an error answers one request and leaves the others', async () => {
    const [refused, fine] = [sampler.sample(input(1)), sampler.sample(input(2))];
    const first = await server.next();
    first.stream.write(answer(first.request, [], { errorCode: 'WEIGHTS_NOT_LOADED', errorMessage: 'w is not loaded' }));
    expect(await failureOf(refused)).toMatchObject({ boundary: 'sampler', code: 'WEIGHTS_NOT_LOADED', retriable: true });
    const second = await server.next();
    second.stream.write(answer(second.request, [1], { finish: 'length' }));
    expect((await fine).finish).toBe('length');
  });

  test('an interruption names its request on the same stream, and only while it is unanswered', async () => {
    const [cut, late] = [new AbortController(), new AbortController()];
    const asked = sampler.sample(input(1), cut.signal);
    const { stream, request } = await server.next();
    cut.abort();
    const interruption = await server.next();
    expect(interruption.stream).toBe(stream);
    expect(interruption.request).toMatchObject({ requestId: request.requestId, interrupt: true });
    stream.write(answer(request, [], { finish: 'interrupted' }));
    expect(await asked).toMatchObject({ finish: 'interrupted', tokens: new Uint32Array(0) });
    const second = sampler.sample(input(2), late.signal);
    const next = await server.next();
    stream.write(answer(next.request, [7], { finish: 'stop' }));
    await second;
    late.abort();
    const third = sampler.sample(input(3));
    const after = await server.next();
    expect(after.request.interrupt).toBe(false);
    stream.write(answer(after.request, [7]));
    await third;
  });

  test('a turn without tokens that was not interrupted is an error, and so is an end that nobody knows', async () => {
    for (const [tokens, finish] of [[[], 'stop'], [[1], 'tired']] as const) {
      const asked = sampler.sample(input(1));
      const { stream, request } = await server.next();
      stream.write(answer(request, [...tokens], { finish }));
      expect(await failureOf(asked)).toMatchObject({ code: 'CORRUPT' });
    }
  });

  test('other weights than asked for are an error', async () => {
    const asked = sampler.sample(input(1));
    const { stream, request } = await server.next();
    stream.write(answer(request, [1], { weightsHash: 'other' }));
    expect(await failureOf(asked)).toMatchObject({ code: 'HASH_MISMATCH', retriable: false });
  });

  test('tokens without their log-probabilities are an error', async () => {
    const asked = sampler.sample(input(1));
    const { stream, request } = await server.next();
    stream.write(answer(request, [1, 2], { logprobs: packF32([-1]) }));
    expect((await failureOf(asked)).code).toBe('CORRUPT');
  });

  test('a stream that ends rejects what is pending as retriable; the next request opens a new one', async () => {
    const lost = [sampler.sample(input(1)), sampler.sample(input(2))].map(failureOf);
    const { stream } = await server.next();
    await server.next();
    stream.end();
    for (const error of await Promise.all(lost)) expect(error).toMatchObject({ code: 'UNAVAILABLE', retriable: true });
    const again = sampler.sample(input(3));
    const retried = await server.next();
    expect(server.streams.length).toBe(2);
    retried.stream.write(answer(retried.request, [3]));
    expect([...(await again).tokens]).toEqual([3]);
  });

  test('a server that dies and comes back on its port is found again', async () => {
    const lost = failureOf(sampler.sample(input(1)));
    await server.next();
    server.kill();
    expect((await lost).code).toBe('UNAVAILABLE');
    await server.start();
    const arrival = server.next();
    let sampled: number[] | undefined;
    while (sampled === undefined) {
      const asked = sampler.sample(input(4));
      const either = await Promise.race([arrival, failureOf(asked)]);
      if (either instanceof StemmaError) continue;
      either.stream.write(answer(either.request, [4]));
      sampled = [...(await asked).tokens];
    }
    expect(sampled).toEqual([4]);
  });

  test('closing rejects what is pending and what follows', async () => {
    const lost = failureOf(sampler.sample(input(1)));
    await server.next();
    sampler.close();
    expect((await lost).code).toBe('UNAVAILABLE');
    expect((await failureOf(sampler.sample(input(2)))).code).toBe('UNAVAILABLE');
  });

  test('loading names its reason in our words', async () => {
    await sampler.loadWeights('known', { sha256: 'aa', length: 1n });
    expect(await failureOf(sampler.loadWeights('unknown', { sha256: 'aa', length: 1n })))
      .toMatchObject({ boundary: 'sampler', code: 'NOT_FOUND', retriable: false });
  });
});
