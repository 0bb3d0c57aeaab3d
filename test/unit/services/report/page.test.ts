import { describe, expect, it } from 'vitest';
import { runningMean } from '../../../../services/report/line-chart.js';
import { renderReport } from '../../../../services/report/page.js';
import { linearScale, niceTicks, numberText } from '../../../../services/report/svg.js';
import { SAMPLE } from './sample-data.js';

const page = renderReport(SAMPLE);

describe('the report', () => {
  it('needs nothing but itself: no scripts, links, images or addresses', () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|https?:|url\(|@import/);
  });

  it('has every figure with axis labels', () => {
    for (const title of ['Accuracy by domain', 'Reward', 'Loss', 'Distillation by domain', 'Entropy', 'KL to the reference model', 'Clip fraction', 'Gradient norm', 'Wall time', 'Run facts']) {
      expect(page).toContain(`<h2>${title}</h2>`);
    }
    const charts = page.match(/aria-label="[^"]+ by step"/g) ?? [];
    // 5 rewards, 4 by component, 9 losses, 9 entropies, 4 KL, 4 clip fractions, 9 gradient norms, SVA loss and ρ.
    expect(charts).toHaveLength(46);
    expect(page.match(/>step<\/text>/g)).toHaveLength(charts.length);
  });

  it('is well-formed: every tag closed in order', () => {
    const open: string[] = [];
    for (const [, slash, name, attributes] of page.matchAll(/<(\/?)([a-zA-Z][\w]*)([^>]*)>/g)) {
      if (['meta'].includes(name ?? '') || attributes?.endsWith('/')) continue;
      if (slash === '') open.push(name ?? '');
      else expect(open.pop()).toBe(name);
    }
    expect(open).toEqual([]);
  });

  it('says how far each model is from the routed oracle', () => {
    expect(page).toMatch(/<tr class="strong"><td>student<\/td><td>0\.990<\/td><td>0\.720<\/td><td>0\.790<\/td><td>0\.960<\/td><td>0\.865<\/td><td>−0\.030<\/td><\/tr>/);
  });

  it('escapes what came from outside', () => {
    const hostile = renderReport({ ...SAMPLE, run: '<script>alert(1)</script>', detail: '"><b>', facts: [{ name: '<i>', value: '&' }] });
    expect(hostile).not.toMatch(/<script|<b>"|<i>&/);
    expect(hostile).toContain('&#60;script&#62;');
  });

  it('leaves out what a run does not have', () => {
    const empty = renderReport({ ...SAMPLE, stages: [], accuracy: [], facts: [] });
    expect(empty).not.toContain('<svg');
    const young = renderReport({ ...SAMPLE, accuracy: [], stages: SAMPLE.stages.slice(0, 1).map((stage) => ({ ...stage, curves: { ...stage.curves, loss: [{ step: 1, value: 3 }], entropy: [], gradientNorm: [] } })) });
    expect(young).toContain('<circle');
    expect(young).not.toContain('NaN');
  });

  it('draws finite coordinates for constant, tiny and negative curves', () => {
    for (const values of [[0, 0, 0], [1e-9, 2e-9], [-5, -5], [Number.MAX_SAFE_INTEGER, 0]]) {
      const stage = SAMPLE.stages[0];
      if (stage === undefined) throw new Error('the sample has stages');
      const svg = renderReport({ ...SAMPLE, stages: [{ ...stage, curves: { ...stage.curves, loss: values.map((value, index) => ({ step: index + 1, value })) } }] });
      expect(svg).not.toMatch(/NaN|Infinity/);
    }
  });
});

describe('scales', () => {
  it('ticks are round and cover the range', () => {
    expect(niceTicks(0, 1, 4)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(niceTicks(0.31, 5.2, 4)).toEqual([0, 2, 4, 6]);
    expect(niceTicks(-0.02, 0.03, 4)).toEqual([-0.02, 0, 0.02, 0.04]);
    expect(linearScale([0, 10], [100, 0]).at(2.5)).toBe(75);
  });

  it('numbers are short', () => {
    expect([0, 0.12345, 12_345, 0.00042, -0.5].map(numberText)).toEqual(['0', '0.123', '12.3k', '4.2e−4', '−0.5']);
  });

  it('a running mean keeps steps and ends', () => {
    const points = Array.from({ length: 40 }, (_, index) => ({ step: index, value: index }));
    const smooth = runningMean(points);
    expect(smooth.map(({ step }) => step)).toEqual(points.map(({ step }) => step));
    expect(smooth[20]?.value).toBe(20);
  });
});
