import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OpenStreams, RateLimit } from '../../../../services/gateway/limits.js';

describe('the rate limit', () => {
  it('never lets more through than the burst and what refilled', () => {
    fc.assert(fc.property(fc.array(fc.nat(50), { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 100 }), (gaps, burst, perSecond) => {
      const rate = new RateLimit({ burst, perSecond });
      let nowMs = 0;
      let passed = 0;
      for (const gap of gaps) {
        nowMs += gap;
        if (rate.take('a', nowMs) === 0) passed += 1;
      }
      expect(passed).toBeLessThanOrEqual(burst + (nowMs * perSecond) / 1000);
      // Whoever waits as told gets through.
      const waitMs = rate.take('a', nowMs);
      if (waitMs > 0) expect(rate.take('a', nowMs + waitMs)).toBe(0);
    }));
  });

  it('keeps callers apart, and no more of them in mind than it may', () => {
    const rate = new RateLimit({ burst: 1, perSecond: 1 });
    expect([rate.take('a', 0), rate.take('b', 0)]).toEqual([0, 0]);
    expect(rate.take('a', 0)).toBe(1000);
    for (let i = 0; i < 10_000; i += 1) rate.take(`caller ${i}`, 0);
    expect(rate.take('a', 0)).toBe(0);
  });
});

describe('open streams', () => {
  it('are counted by caller and given back', () => {
    const streams = new OpenStreams(2);
    expect([streams.open('a'), streams.open('a'), streams.open('a'), streams.open('b')]).toEqual([true, true, false, true]);
    streams.close('a');
    expect(streams.open('a')).toBe(true);
  });
});
