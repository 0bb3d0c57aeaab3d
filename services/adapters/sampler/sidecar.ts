/**
 * The sampler on the compute sidecar. All requests of this process share one bidirectional stream, so that they
 * share one continuous batch; answers come in any order and find their request by id. When the stream breaks,
 * what is pending rejects UNAVAILABLE and the next request opens a new stream: asking again is safe, because the same
 * input gives the same tokens.
 */
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { context, type Context } from '@opentelemetry/api';
import { SampleRequest, SamplerServiceClient, type SampleResponse } from '../../../proto/gen/stemma/v1/sampler.js';
import { StemmaError } from '../../../core/errors.js';
import { packU32, unpackF32, unpackU32 } from '../../../core/log/bytes.js';
import type { SampleInput, Sampled, Sampler, StopSignal } from '../../../core/ports.js';
import { sidecarSpan, type SidecarTimes } from '../../runtime/tracing/sidecar-spans.js';
import { traceparent } from '../../runtime/tracing/spans.js';
import { callUnary, fromServiceError, PLAIN_CHANNEL, isErrorCode } from '../../runtime/grpc.js';
import { LONG_CALL_MS } from '../sidecar-channel.js';

export type SidecarSampler = Sampler & { close(): void };

interface Pending {
  readonly input: SampleInput;
  /** Of the caller, whose trace the answer belongs to. */
  readonly traced: Context | undefined;
  resolve(sampled: Sampled): void;
  reject(error: StemmaError): void;
}

export function sidecarSampler(address: string, { credentials, options } = PLAIN_CHANNEL): SidecarSampler {
  const client = new SamplerServiceClient(address, credentials, options);
  const exchange = new SampleExchange(client);
  return {
    sample: (input, interrupt) => exchange.ask(input, interrupt),
    async loadWeights(weightsHash, weights) {
      await callUnary(client.loadWeights.bind(client), { weightsHash, weights }, { boundary: 'sampler', timeoutMs: LONG_CALL_MS });
    },
    close() {
      exchange.close();
      client.close();
    },
  };
}

class SampleExchange {
  private stream: ClientDuplexStream<SampleRequest, SampleResponse> | undefined;
  private readonly pending = new Map<string, Pending>();
  private asked = 0;
  private closed = false;

  constructor(private readonly client: SamplerServiceClient) {}

  ask(input: SampleInput, interrupt?: StopSignal): Promise<Sampled> {
    if (this.closed) return Promise.reject(away('the sampler was closed'));
    this.asked += 1;
    const requestId = String(this.asked);
    return new Promise((resolve, reject) => {
      const parent = traceparent();
      this.pending.set(requestId, { input, resolve, reject, traced: parent === '' ? undefined : context.active() });
      const { tokens, stopTokenIds, bannedTokenIds, ...rest } = input;
      this.open().write({ ...rest, requestId, tokens: packU32(tokens), stopTokenIds: [...stopTokenIds], bannedTokenIds: [...bannedTokenIds], interrupt: false, traceparent: parent });
      if (interrupt?.aborted) this.interrupt(requestId);
      else interrupt?.addEventListener('abort', () => this.interrupt(requestId));
    });
  }

  private interrupt(requestId: string): void {
    if (this.pending.has(requestId)) this.stream?.write(SampleRequest.fromPartial({ requestId, interrupt: true }));
  }

  close(): void {
    this.closed = true;
    const stream = this.stream;
    this.fail(stream, away('the sampler was closed'));
    stream?.cancel();
  }

  private open(): ClientDuplexStream<SampleRequest, SampleResponse> {
    if (this.stream !== undefined) return this.stream;
    const stream = this.client.sample();
    stream.on('data', (response: SampleResponse) => this.settle(response));
    stream.on('error', (error: ServiceError) => this.fail(stream, asAway(fromServiceError('sampler', error))));
    stream.on('end', () => this.fail(stream, away('the sampler ended the stream')));
    this.stream = stream;
    return stream;
  }

  private settle(response: SampleResponse): void {
    const waiting = this.pending.get(response.requestId);
    if (waiting === undefined) return;
    this.pending.delete(response.requestId);
    if (waiting.traced !== undefined && response.answeredNs > 0n) sidecarSpan('SamplerService/Sample', timesOf(response), waiting.traced);
    const outcome = readAnswer(waiting.input, response);
    if (outcome instanceof StemmaError) waiting.reject(outcome);
    else waiting.resolve(outcome);
  }

  /** A late report of a stream that was replaced already must not fail the new one's requests. */
  private fail(stream: ClientDuplexStream<SampleRequest, SampleResponse> | undefined, error: StemmaError): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    const lost = [...this.pending.values()];
    this.pending.clear();
    for (const waiting of lost) waiting.reject(error);
  }
}

function timesOf({ arrivedNs, admittedNs, answeredNs }: SampleResponse): SidecarTimes {
  const ended = String(answeredNs);
  return { began: String(arrivedNs), ended, computed: admittedNs === 0n ? [] : [[String(admittedNs), ended]] };
}

const FINISHES = ['stop', 'length', 'interrupted'] as const;

function readAnswer(input: SampleInput, response: SampleResponse): Sampled | StemmaError {
  if (response.errorCode !== '') {
    const code = isErrorCode(response.errorCode) ? response.errorCode : 'INVALID';
    const remedy = code === 'WEIGHTS_NOT_LOADED' ? 'Load the weights, then try again.' : 'Read the sidecar\'s log: it says why.';
    return new StemmaError('sampler', code, `sampler: ${response.errorMessage || response.errorCode}`, remedy);
  }
  if (response.weightsHash !== input.weightsHash) {
    return new StemmaError('sampler', 'HASH_MISMATCH', `sampler used weights ${response.weightsHash} where ${input.weightsHash} were asked for`,
      'A turn of other weights would not be on-policy: report this.');
  }
  const tokens = unpackU32(response.tokens);
  const logprobs = unpackF32(response.logprobs);
  const finish = FINISHES.find((known) => known === response.finish);
  if (finish === undefined || (tokens.length === 0 && finish !== 'interrupted') || tokens.length !== logprobs.length) {
    return new StemmaError('sampler', 'CORRUPT', `sampler answered ${tokens.length} tokens with ${logprobs.length} log-probabilities, finished by '${response.finish}'`,
      'The sidecar and this program differ in version: set up again.');
  }
  return { tokens, logprobs, weightsHash: response.weightsHash, finish };
}

function away(message: string): StemmaError {
  return new StemmaError('sampler', 'UNAVAILABLE', message, 'Is the sidecar running? Try again.');
}

/** Refusals of single requests come as answers; a broken stream says nothing of them, unless nobody serves this at all. */
function asAway(error: StemmaError): StemmaError {
  if (error.retriable || error.code === 'UNSUPPORTED') return error;
  return new StemmaError('sampler', 'UNAVAILABLE', error.message, error.remedy, error);
}
