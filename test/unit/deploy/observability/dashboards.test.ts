/** The committed dashboards are what their sources make. After a change: npm run dashboards */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { GATEWAY } from '../../../../deploy/observability/by-step.js';
import { DASHBOARDS } from '../../../../deploy/observability/dashboards.js';

const FOLDER = join(import.meta.dirname, '../../../../deploy/observability/grafana/dashboards');

describe('dashboards', () => {
  it.each(DASHBOARDS)('$name.json is what the sources make', async ({ name, dashboard }) => {
    await expect(`${JSON.stringify(dashboard, null, 2)}\n`).toMatchFileSnapshot(join(FOLDER, `${name}.json`));
  });

  it('are seven, each with a page address of its own', () => {
    expect(new Set(DASHBOARDS.map(({ dashboard }) => dashboard.uid)).size).toBe(7);
  });

  it.each(DASHBOARDS)('$name: every panel says what it shows, and Temporal is one click away', ({ dashboard }) => {
    const panels = dashboard.panels ?? [];
    const mute = panels.filter((panel) => panel.type !== 'text' && 'description' in panel && (panel.description ?? '').length < 2);
    expect(mute.map(({ title }) => title)).toEqual([]);
    expect(JSON.stringify(dashboard.links)).toContain('${temporal}/namespaces/default/workflows');
  });

  it('has the data source of its curves by step provisioned, with no token in it', () => {
    const { datasources: [found] } = parse(readFileSync(join(FOLDER, '../provisioning/datasources/gateway.yaml'), 'utf8')) as { datasources: { uid: string; type: string; secureJsonData: object }[] };
    expect(found).toMatchObject({ ...GATEWAY, secureJsonData: { bearerToken: '${STEMMA_GRAFANA_TOKEN}' } });
  });

  it('lead from a series to its workflow and name the lineage command', () => {
    const all = JSON.stringify(DASHBOARDS);
    expect(all).toContain('${temporal}/namespaces/default/workflows/${__field.labels.run}%2F${__field.labels.stage}');
    expect(all).toContain('npm run stemma -- lineage WEIGHTS --run $run');
    expect(all).toContain('${temporal}/namespaces/default/workflows/${run_by_step}%2F${__field.labels.stage}');
  });
});
