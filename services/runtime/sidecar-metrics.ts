/**
 * The compute sidecar's figures, read from its status at each scrape by the process that owns it: one page and one set-up,
 * and no web server beside the tensors. Its counters start at zero with it, as a counter may.
 */
import type { Counter, Gauge, Registry } from 'prom-client';
import { TrainerServiceClient, type GetStatusResponse } from '../../proto/gen/stemma/v1/trainer.js';
import { PLAIN_CHANNEL, callUnary } from './grpc.js';
import { counter, gauge } from './metrics.js';

/** A scrape that waits longer for a sidecar that starts again tells nobody anything. */
const STATUS_WITHIN_MS = 2000;

interface Instruments {
  readonly busy: Counter;
  readonly tokens: Counter;
  readonly heads: Counter<'implementation' | 'vocabulary' | 'top_k'>;
  readonly scorerHeads: Counter<'implementation' | 'vocabulary' | 'top_k'>;
  readonly slots: Gauge;
  readonly waiting: Gauge<'for'>;
  readonly models: Gauge;
  readonly memory: Gauge;
  readonly device: Gauge<'device' | 'torch'>;
  readonly deviceFree: Gauge<'device'>;
  readonly deviceSize: Gauge<'device'>;
  readonly deviceUtilization: Gauge<'device'>;
}

export interface SidecarWatch {
  /** Rejects when it does not answer within two seconds. */
  readonly answers: () => Promise<unknown>;
  readonly close: () => void;
}

export function registerSidecarMetrics(registry: Registry, address: string, { credentials, options } = PLAIN_CHANNEL): SidecarWatch {
  const client = new TrainerServiceClient(address, credentials, options);
  const ask = (): Promise<GetStatusResponse> => callUnary(client.getStatus.bind(client), {}, { boundary: 'trainer', timeoutMs: STATUS_WITHIN_MS });
  // Registered first, because a scrape reads in that order: one question a scrape, and the others show its answer.
  gauge(registry, {
    name: 'stemma_sidecar_up', help: '1 if the compute sidecar of this process answers, else 0.',
    collect: async (up) => {
      const answer = await ask().catch(() => undefined);
      up.set(answer === undefined ? 0 : 1);
      show(instruments, answer);
    },
  });
  const instruments: Instruments = {
    busy: counter(registry, { name: 'stemma_sidecar_busy_seconds_total', help: 'Seconds in which the compute thread computed.' }),
    tokens: counter(registry, { name: 'stemma_sidecar_sampled_tokens_total', help: 'Tokens drawn by the sampler.' }),
    heads: counter(registry, {
      name: 'stemma_sidecar_sva_micro_batches_total', help: 'Micro-batches whose SVA loss was computed, by the head\'s implementation and shape.',
      labels: ['implementation', 'vocabulary', 'top_k'],
    }),
    scorerHeads: counter(registry, {
      name: 'stemma_sidecar_top_k_blocks_total', help: 'Blocks of positions whose teacher\'s top-k was found, by the head\'s implementation and shape.',
      labels: ['implementation', 'vocabulary', 'top_k'],
    }),
    slots: gauge(registry, { name: 'stemma_sidecar_active_slots', help: 'Sequences in the continuous batch.' }),
    waiting: gauge(registry, { name: 'stemma_sidecar_waiting', help: 'Queues: sequences for a slot of the batch, jobs for the compute thread.', labels: ['for'] }),
    models: gauge(registry, { name: 'stemma_sidecar_loaded_models', help: 'Models in memory, the trainer\'s current one included.' }),
    memory: gauge(registry, { name: 'stemma_sidecar_peak_memory_bytes', help: 'Highest resident memory since it started.' }),
    device: gauge(registry, { name: 'stemma_sidecar_device', help: '1 for what the sidecar computes on.', labels: ['device', 'torch'] }),
    // Labelled, so that a CPU has no series instead of a zero.
    deviceFree: gauge(registry, { name: 'stemma_sidecar_device_memory_free_bytes', help: 'Free memory of the GPU, as its driver counts it over all processes; none on a CPU.', labels: ['device'] }),
    deviceSize: gauge(registry, { name: 'stemma_sidecar_device_memory_size_bytes', help: 'Memory of the GPU; none on a CPU.', labels: ['device'] }),
    deviceUtilization: gauge(registry, { name: 'stemma_sidecar_device_utilization_ratio', help: 'Share of the last second or less in which the GPU computed, as NVML says of all processes; none on a CPU or without NVML.', labels: ['device'] }),
  };
  return { answers: ask, close: () => client.close() };
}

/** One that is away has no figures; it is not idle. */
function show(to: Instruments, answer: GetStatusResponse | undefined): void {
  for (const instrument of Object.values(to) as { reset(): void }[]) instrument.reset();
  if (answer === undefined) return;
  to.busy.inc(answer.busySeconds);
  to.tokens.inc(Number(answer.sampledTokens));
  to.slots.set(answer.activeSlots);
  to.waiting.set({ for: 'slot' }, answer.waitingRequests);
  to.waiting.set({ for: 'compute' }, answer.waitingJobs);
  to.models.set(answer.loadedWeightsHashes.length);
  to.memory.set(Number(answer.peakMemoryBytes));
  const { device, torch } = JSON.parse(answer.fingerprintJson) as { device: string; torch: string };
  to.device.set({ device, torch }, 1);
  if (answer.deviceMemory !== undefined) {
    to.deviceFree.set({ device }, Number(answer.deviceMemory.freeBytes));
    to.deviceSize.set({ device }, Number(answer.deviceMemory.totalBytes));
  }
  if (answer.deviceUtilization !== undefined) to.deviceUtilization.set({ device }, answer.deviceUtilization);
  for (const [counted, shapes] of [[to.heads, answer.heads], [to.scorerHeads, answer.scorerHeads]] as const) {
    for (const { implementation, vocabulary, topK, uses } of shapes) counted.inc({ implementation, vocabulary: String(vocabulary), top_k: String(topK) }, Number(uses));
  }
}
