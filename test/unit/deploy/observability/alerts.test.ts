import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CliDeps } from '../../../../services/cli/deps.js';
import { createProgram } from '../../../../services/cli/program.js';
import { DASHBOARDS } from '../../../../deploy/observability/dashboards.js';
import { alerts, ruleTests } from '../../../support/alert-rules.js';

const ROOT = join(import.meta.dirname, '../../../..');

describe('alerts', () => {
  it('are told apart by name and say how urgent they are', () => {
    expect(new Set(alerts().map(({ alert }) => alert)).size).toBe(alerts().length);
    expect(alerts().filter(({ labels }) => !['page', 'warn', 'info'].includes(labels.severity)).map(({ alert }) => alert)).toEqual([]);
  });

  it.each(alerts())('$alert has a runbook: symptom, why it matters, first three commands', ({ alert, annotations: { runbook } }) => {
    expect(existsSync(join(ROOT, runbook)), runbook).toBe(true);
    const page = readFileSync(join(ROOT, runbook), 'utf8');
    expect(page.split('\n')[0]).toBe(`# ${alert}`);
    for (const heading of ['## Symptom', '## Why it matters', '## First three commands']) expect(page).toContain(heading);
    const commands = page.slice(page.indexOf('## First three commands'));
    expect(commands.match(/^\d\. `.+`/gm)).toHaveLength(3);
  });

  it('what runbooks and dashboards tell people to run are commands that there are, with options that they have', () => {
    const program = createProgram({} as CliDeps);
    const pages = alerts().map(({ annotations }) => readFileSync(join(ROOT, annotations.runbook), 'utf8'));
    const told = [...pages, JSON.stringify(DASHBOARDS)].flatMap((page) => [...page.matchAll(/npm run stemma -- (\w+)([^`\n]*)/g)]);
    expect(told.length).toBeGreaterThan(alerts().length);
    const unknown = told.filter(([, name, rest]) => {
      const command = program.commands.find((each) => each.name() === name);
      return !command || [...(rest ?? '').matchAll(/--[a-z-]+/g)].some(([option]) => !command.options.some(({ long }) => long === option));
    });
    expect(unknown.map(([text]) => text)).toEqual([]);
  });

  it('no runbook is of an alert that is not there', () => {
    const known = alerts().map(({ annotations }) => basename(annotations.runbook));
    expect(readdirSync(join(ROOT, 'docs/runbooks')).sort()).toEqual(known.sort());
  });

  it.each(alerts())('$alert has a test in which it fires and one in which it is silent', ({ alert }) => {
    const looks = ruleTests().flatMap((test) => test.alert_rule_test ?? []).filter(({ alertname }) => alertname === alert);
    expect(looks.some(({ exp_alerts: expected }) => (expected ?? []).length > 0), 'fires').toBe(true);
    expect(looks.some(({ exp_alerts: expected }) => (expected ?? []).length === 0), 'is silent').toBe(true);
  });
});
