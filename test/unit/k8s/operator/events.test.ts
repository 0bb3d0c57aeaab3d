import { expect, test } from 'vitest';
import { ApiRefusal, type KubeApi } from '../../../../k8s/operator/api.js';
import { recordTransition } from '../../../../k8s/operator/events.js';

const RUN = { apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { namespace: 'team', name: 'first', uid: 'u', resourceVersion: '7' } };
const refusal = (status: number, reason: string): ApiRefusal => new ApiRefusal(status, { reason, message: reason }, 'POST events');

/** Records one transition with a server that answers so; resolves to what was reported. */
async function recordedWith(answer: Error): Promise<readonly Error[]> {
  const reported: Error[] = [];
  const api: KubeApi = { call: () => Promise.reject(answer), watch: () => Promise.resolve(), close: () => undefined };
  await recordTransition({ api, onEventRefused: (error) => reported.push(error) }, RUN, { type: 'Normal', reason: 'Training', message: 'it trains' }, '1 7');
  return reported;
}

test('an event that is refused, as in a namespace that is being deleted, is reported and holds nothing up', async () => {
  const forbidden = refusal(403, 'Forbidden');
  expect(await recordedWith(forbidden)).toEqual([forbidden]);
  const gone = refusal(404, 'NotFound');
  expect(await recordedWith(gone)).toEqual([gone]);
});

test('an event that is there already was told before', async () => {
  expect(await recordedWith(refusal(409, 'AlreadyExists'))).toEqual([]);
});

test.each([[429, 'TooManyRequests'], [503, 'ServiceUnavailable']])('a server that answers %i is asked again', async (status, reason) => {
  const busy = refusal(status, reason);
  await expect(recordedWith(busy)).rejects.toBe(busy);
});
