/** Panels of exact curves by step: not from Prometheus, which sees what has changed between two scrapes, but from the gateway's GetSeries, through Grafana's plugin Infinity. */
import { LegendDisplayMode, LegendPlacement, VizLegendOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import { QueryVariableBuilder, VariableRefresh, VariableSort } from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as Trend } from '@grafana/grafana-foundation-sdk/trend';
import { DATASOURCE, workflowLink, type PanelOf } from './panels.js';

/** As provisioning/datasources/gateway.yaml names it. */
export const GATEWAY = { type: 'yesoreyeram-infinity-datasource', uid: 'stemma-gateway' };

/** One run, unlike the variable `run`: two runs have no common steps. */
export const RUN_BY_STEP = 'run_by_step';

export const runByStep = (): QueryVariableBuilder => new QueryVariableBuilder(RUN_BY_STEP).label('Run of the curves by step').datasource(DATASOURCE)
  .query('label_values(stemma_run_status, run)').refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalDesc);

/** What Infinity is told; the test asks a real gateway the same. */
export interface GatewayQuery extends Dataquery {
  readonly refId: string;
  readonly datasource: typeof GATEWAY;
  readonly type: 'json';
  readonly parser: 'backend';
  readonly source: 'url';
  readonly format: 'table';
  /** After the data source's own. */
  readonly url: string;
  readonly url_options: { readonly method: 'POST'; readonly body_type: 'raw'; readonly body_content_type: 'application/json'; readonly data: string };
  readonly root_selector: string;
  readonly columns: readonly { readonly selector: string; readonly text: string; readonly type: 'number' | 'string' }[];
}

function seriesQuery(figures: readonly string[]): GatewayQuery {
  return {
    refId: 'A', datasource: GATEWAY, type: 'json', parser: 'backend', source: 'url', format: 'table', url: '/stemma.v1.ControlService/GetSeries',
    // A run's id is a file name: it needs no escape.
    url_options: { method: 'POST', body_type: 'raw', body_content_type: 'application/json', data: JSON.stringify({ run: `\${${RUN_BY_STEP}}`, figures }) },
    root_selector: 'points',
    columns: [
      { selector: 'step', text: 'step', type: 'number' }, { selector: 'mean', text: 'mean', type: 'number' }, { selector: 'stage', text: 'stage', type: 'string' }, { selector: 'figure', text: 'figure', type: 'string' },
    ],
    _implementsDataqueryVariant: () => undefined,
  };
}

export interface StepCurves {
  readonly title: string;
  readonly description: string;
  /** A name stands for its figures by domain too. */
  readonly figures: readonly string[];
  readonly unit?: string;
  readonly min?: number;
}

/** A line a stage and figure over the steps of the stage. */
export function curvesByStep({ title, description, figures, unit = 'short', min }: StepCurves): PanelOf {
  const panel = new Trend().title(title).description(description).datasource(GATEWAY).unit(unit).span(8).height(7).xField('step').lineWidth(1).spanNulls(true)
    .legend(new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom).showLegend(true))
    .dataLinks([workflowLink('Stage in the Temporal UI', `\${${RUN_BY_STEP}}%2F\${__field.labels.stage}`)])
    .withTransformation({ id: 'partitionByValues', options: { fields: ['stage', 'figure'], keepFields: false, naming: { asLabels: true } } })
    .withTransformation({ id: 'joinByField', options: { byField: 'step', mode: 'outer' } })
    .withTransformation({ id: 'sortBy', options: { sort: [{ field: 'step' }] } })
    .withTarget({ build: () => seriesQuery(figures) });
  if (min !== undefined) panel.min(min);
  return panel;
}
