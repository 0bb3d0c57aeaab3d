/** The committed rules, and what their tests say, as data. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export const RULES = join(import.meta.dirname, '../../deploy/observability/prometheus');

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

export interface Recorded {
  readonly record: string;
  readonly expr: string;
}

interface RuleTest {
  readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts?: readonly unknown[] }[];
}

const read = (file: string): unknown => parse(readFileSync(join(RULES, file), 'utf8'));
const rulesOf = <R>(file: string): R[] => (read(file) as { groups: { rules: R[] }[] }).groups.flatMap(({ rules }) => rules);

export const alerts = (): Alert[] => rulesOf<Alert>('alerts.yaml');
export const recordings = (): Recorded[] => rulesOf<Recorded>('recording.yaml');
export const ruleTests = (): readonly RuleTest[] => (read('alerts.test.yaml') as { tests: RuleTest[] }).tests;
