/** What all dashboards share: variables, links among each other and to Temporal, time range. */
import { DashboardBuilder, DashboardCursorSync, DashboardLinkBuilder, DashboardLinkType, DatasourceVariableBuilder, IntervalVariableBuilder, QueryVariableBuilder, TextBoxVariableBuilder, VariableRefresh, VariableSort, type Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { DATASOURCE, type PanelOf } from './panels.js';

export interface DashboardSpec {
  /** File name and the end of the uid. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** In reading order: rows are filled from the left. */
  readonly panels: readonly PanelOf[];
  /** Beside those that all have. */
  readonly variables?: readonly QueryVariableBuilder[];
}

const TAG = 'stemma';
const COLUMNS = 24;

export function dashboardOf({ name, title, description, panels, variables = [] }: DashboardSpec): Dashboard {
  const builder = new DashboardBuilder(`Stemma · ${title}`).uid(`stemma-${name}`).description(description).tags([TAG])
    .time({ from: 'now-1h', to: 'now' }).refresh('30s').tooltip(DashboardCursorSync.Crosshair).timezone('browser')
    .link(new DashboardLinkBuilder('Stemma').type(DashboardLinkType.Dashboards).tags([TAG]).asDropdown(true).includeVars(true).keepTime(true))
    .link(new DashboardLinkBuilder('Temporal UI').type(DashboardLinkType.Link).url('${temporal}/namespaces/default/workflows').targetBlank(true))
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(new QueryVariableBuilder('run').label('Run').datasource(DATASOURCE).query('label_values(stemma_run_status, run)')
      .refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalDesc).multi(true).includeAll(true).allValue('.+'))
    .withVariable(new IntervalVariableBuilder('window').label('Window of means').values('1m,5m,10m,30m,2h').current({ text: '10m', value: '10m' }))
    .withVariable(new TextBoxVariableBuilder('temporal').label('Temporal UI').defaultValue('http://localhost:8233'));
  for (const variable of variables) builder.withVariable(variable);
  let row = { x: 0, y: 0, height: 0 };
  for (const panel of panels) {
    const { w, h } = panel.build().gridPos ?? { w: COLUMNS, h: 0 };
    if (row.x + w > COLUMNS) row = { x: 0, y: row.y + row.height, height: 0 };
    builder.withPanel(panel.gridPos({ x: row.x, y: row.y, w, h }));
    row = { x: row.x + w, y: row.y, height: Math.max(row.height, h) };
  }
  return builder.build();
}
