/** The alert rules in Prometheus's own judgement: each fires when it should and stays silent when it should. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RULES } from '../../support/alert-rules.js';
import { describeWithPrometheus, promtool } from '../../support/prometheus.js';

describeWithPrometheus('rules', () => {
  it.each([
    ['check', 'config', 'prometheus.yaml'], ['check', 'rules', 'recording.yaml'], ['check', 'rules', 'alerts.yaml'], ['test', 'rules', 'alerts.test.yaml'],
  ])('promtool %s %s %s', (what, kind, file) => {
    const { code, output } = promtool([what, kind, join(RULES, file)]);
    expect(code, output).toBe(0);
  });
});
