/**
 * A real gateway (gRPC, guard, control API, folds) before runs that compute nothing: what they are told becomes facts in a log in
 * memory, as the recorder would write them, and the test says when they end.
 */
import type { Payload } from '../../core/log/fold.js';
import { runStream } from '../../core/log/keys.js';
import type { RunLogs } from '../../core/ports.js';
import { StemmaError } from '../../core/errors.js';
import { createControlApi } from '../../services/gateway/control-api.js';
import { createGuard } from '../../services/gateway/guard.js';
import { serveGateway } from '../../services/gateway/server.js';
import type { AccessKey } from '../../services/runtime/access/keys-file.js';
import type { ControlRequest } from '../../services/cli/platform.js';
import { createRegistry } from '../../services/runtime/metrics.js';
import { recordFact } from '../../services/runtime/record-fact.js';
import { memoryBlobs, memoryLogs } from './committed-run.js';

export interface ToldGateway {
  /** host:port */
  readonly address: string;
  /** Each submission in order; one that is repeated is here again. */
  readonly submitted: readonly string[];
  /** Payload types of the run's stream, in order. */
  facts(run: string): Promise<readonly string[]>;
  /** How often someone asked for a run's progress. */
  asked(): number;
  end(run: string): Promise<void>;
  close(): Promise<void>;
}

/** The step from which every amendment holds. */
export const FROM_STEP = 2;
const ORIGIN = '127.0.0.1';

export async function openToldGateway(): Promise<ToldGateway> {
  const held = memoryLogs('', []);
  const known = new Set<string>();
  const submitted: string[] = [];
  let asked = 0;
  const logs: RunLogs = {
    list: () => Promise.resolve([...known]),
    open(run, mode) {
      asked += 1;
      return known.has(run) ? held.open(run, mode) : Promise.reject(new StemmaError('log', 'NOT_FOUND', `no run ${run}`, 'Submit it.'));
    },
  };
  const record = async (run: string, payload: Payload): Promise<void> => recordFact(await held.open(run, 'write'), { stream: runStream(run), run }, payload);
  const api = createControlApi({
    logs, blobs: memoryBlobs(new Map()),
    async submit({ run, recipe, seed }, { by }) {
      submitted.push(run);
      known.add(run);
      await record(run, { $case: 'runCreated', value: { run, recipe, seed: BigInt(seed), manifest: undefined, settingsHash: '', by, origin: ORIGIN } });
      await record(run, { $case: 'stageStarted', value: { stage: 'sft', kind: 'sft', parent: undefined, settingsHash: '' } });
    },
    async control(request, { by }) {
      await record(request.run, payloadOf(request, by));
      return { effectiveStep: request.action === 'amend' ? FROM_STEP : 0 };
    },
  });
  // Whose token it is, is tested where a platform reads the Secret.
  const key: AccessKey = { name: 'stemma-operator', scopes: ['read', 'submit', 'control'], sha256: '0'.repeat(64) };
  const limits = { perSecond: 1e6, burst: 1e6, openStreams: 10 };
  const guard = createGuard({ issuer: null, keyring: { holder: (token) => (token.startsWith('stemma_') ? key : undefined) }, registry: createRegistry({ processFigures: false }), logger: { warn: () => undefined }, limits });
  const server = await serveGateway(api, guard, { host: '127.0.0.1', port: 0 });
  return {
    address: server.address, submitted, asked: () => asked,
    facts: async (run) => (await (await held.open(run, 'read')).readStream(runStream(run))).map(({ event }) => event.payload!.$case),
    end: (run) => record(run, { $case: 'runFinished', value: { weightsHash: 'f'.repeat(64) } }),
    close: () => server.close(),
  };
}

function payloadOf({ action, updateId, stage = '', path = '', value }: ControlRequest, by: string): Payload {
  const told = { updateId, by, origin: ORIGIN };
  switch (action) {
    case 'pause': return { $case: 'runPaused', value: told };
    case 'resume': return { $case: 'runResumed', value: told };
    case 'stop': return { $case: 'runStopped', value: { reason: 'asked to' } };
    case 'amend': return { $case: 'settingAmended', value: { ...told, stage, path, fromStep: FROM_STEP, valueJson: JSON.stringify(value) } };
  }
}

