/** A workflow that decides for seconds: after its one activity it counts to `iterations` in a promise's callback. */
import { CancellationScope, proxyActivities } from '@temporalio/workflow';

const { aboutToDecide } = proxyActivities<{ aboutToDecide(): Promise<void> }>({ startToCloseTimeout: '1 minute' });

export async function busy(iterations: number): Promise<number> {
  return CancellationScope.cancellable(async () => {
    await aboutToDecide();
    let sum = 0;
    for (let index = 0; index < iterations; index++) sum = (sum + index) % 1_000_003;
    return sum;
  });
}
