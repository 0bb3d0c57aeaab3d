import { describe, expect, it } from 'vitest';
import { startStopwatch } from '../../../../services/training/stopwatch.js';

/** A clock and a sidecar whose seconds the test turns by hand. */
function bench(alone = true): { watch: ReturnType<typeof startStopwatch>; pass(seconds: number, busy?: number): void; restartSidecar(): void } {
  let nowMs = 0;
  let busySeconds = 0;
  const watch = startStopwatch({
    status: () => Promise.resolve({ stateHash: '', weightsHash: '', fingerprintJson: '{}', busySeconds, peakMemoryBytes: 0 }),
  }, () => nowMs, alone);
  return {
    watch,
    pass(seconds, busy = 0) {
      nowMs += seconds * 1000;
      busySeconds += busy;
    },
    restartSidecar() {
      busySeconds = 0;
    },
  };
}

describe('stopwatch', () => {
  it('splits each lap, and what went before the first start is nobody\'s', async () => {
    const { watch, pass } = bench();
    pass(10, 3);
    watch.start('sft');
    pass(2, 1.5);
    watch.start('sft');
    // The counter is the sidecar's own: what it computed before the start is cut to the lap.
    expect(await watch.lap()).toEqual({ wallSeconds: 2, computeSeconds: 2, waitingSeconds: 0 });
    pass(4, 1);
    expect(await watch.lap()).toEqual({ wallSeconds: 4, computeSeconds: 1, waitingSeconds: 0 });
  });

  it('counts a pause as waiting, also across laps, never more than the lap', async () => {
    const { watch, pass } = bench();
    watch.start('sft');
    pass(1, 1);
    watch.pause();
    pass(3);
    expect(await watch.lap()).toEqual({ wallSeconds: 4, computeSeconds: 1, waitingSeconds: 3 });
    pass(2);
    watch.resume();
    pass(1, 0.5);
    expect(await watch.lap()).toEqual({ wallSeconds: 3, computeSeconds: 0.5, waitingSeconds: 2 });
  });

  it('starts the count anew when the sidecar was restarted', async () => {
    const { watch, pass, restartSidecar } = bench();
    watch.start('sft');
    pass(5, 4);
    await watch.lap();
    restartSidecar();
    pass(5, 2);
    expect(await watch.lap()).toEqual({ wallSeconds: 5, computeSeconds: 2, waitingSeconds: 0 });
  });

  it('leaves out what another service did between two of our stages, which has recorded it', async () => {
    const { watch, pass } = bench(false);
    watch.start('sft');
    pass(2, 1);
    expect(await watch.lap()).toEqual({ wallSeconds: 2, computeSeconds: 1, waitingSeconds: 0 });
    pass(60);
    watch.start('distill');
    pass(3, 1);
    watch.start('distill');
    expect(await watch.lap()).toEqual({ wallSeconds: 3, computeSeconds: 1, waitingSeconds: 0 });
  });
});
