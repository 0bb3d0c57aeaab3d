/** The few kinds of panels that the dashboards are made of, and their queries. */
import { BigValueGraphMode, BigValueTextMode, GraphDrawStyle, LegendDisplayMode, LegendPlacement, ReduceDataOptionsBuilder, VizLegendOptionsBuilder, VizOrientation } from '@grafana/grafana-foundation-sdk/common';
import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge';
import { DashboardLinkBuilder, DashboardLinkType, type GridPos, type Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as Text, TextMode } from '@grafana/grafana-foundation-sdk/text';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';

export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

export interface Query {
  readonly expr: string;
  /** Grafana's legend format; {{label}} is the label's value. */
  readonly legend: string;
}

export interface PanelSpec {
  readonly title: string;
  /** What it shows and what to look for, one or two sentences. */
  readonly description: string;
  /** Grafana's unit id; default: a plain number. */
  readonly unit?: string;
  readonly queries: readonly Query[];
  /** Of 24. */
  readonly width?: number;
  readonly height?: number;
  readonly min?: number;
  readonly max?: number;
  readonly stacked?: boolean;
  /** Where to go on from a series. */
  readonly links?: readonly DashboardLinkBuilder[];
  /** What is shown where the query finds nothing, because nothing is wrong. */
  readonly nothing?: string;
}

export interface PanelOf {
  gridPos(at: GridPos): PanelOf;
  build(): Panel;
}

const workflows = '${temporal}/namespaces/default/workflows/';
/** `id`: of a workflow, as a URL has it. */
export const workflowLink = (title: string, id: string): DashboardLinkBuilder => linkTo(title, `${workflows}${id}`);
/** A run's workflow has the run's id, a stage's is RUN/STAGE. */
export const runInTemporal = (): DashboardLinkBuilder => linkTo('Run in the Temporal UI', `${workflows}\${__field.labels.run}`);
export const stageInTemporal = (): DashboardLinkBuilder => linkTo('Stage in the Temporal UI', `${workflows}\${__field.labels.run}%2F\${__field.labels.stage}`);

function linkTo(title: string, url: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(title).type(DashboardLinkType.Link).url(url).targetBlank(true);
}

/** Curves over time. */
export function curves(spec: PanelSpec): PanelOf {
  const panel = new TimeSeries().drawStyle(GraphDrawStyle.Line).lineWidth(1).fillOpacity(spec.stacked ? 40 : 5).spanNulls(true)
    .legend(new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom).showLegend(true));
  return described(panel, spec, false);
}

/** The newest values as numbers; `names`: the series' names are the message. */
export function numbers(spec: PanelSpec & { readonly names?: boolean }): PanelOf {
  const panel = new Stat().graphMode(BigValueGraphMode.None).textMode(spec.names ? BigValueTextMode.Name : BigValueTextMode.ValueAndName)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
  return described(panel, { height: 4, width: 6, ...spec }, true);
}

/** The newest values as bars. */
export function bars(spec: PanelSpec): PanelOf {
  return described(new BarGauge().orientation(VizOrientation.Horizontal).reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull'])), spec, true);
}

export function text(title: string, content: string, height = 5): PanelOf {
  return new Text().title(title).mode(TextMode.Markdown).content(content).span(24).height(height);
}

function described<P extends TimeSeries | Stat | BarGauge>(panel: P, spec: PanelSpec, newest: boolean): P {
  panel.title(spec.title).description(spec.description).datasource(DATASOURCE).unit(spec.unit ?? 'short').span(spec.width ?? 8).height(spec.height ?? 7);
  if (spec.min !== undefined) panel.min(spec.min);
  if (spec.max !== undefined) panel.max(spec.max);
  if (spec.nothing !== undefined) panel.noValue(spec.nothing);
  if (spec.links) panel.dataLinks([...spec.links]);
  spec.queries.forEach(({ expr, legend }, index) => {
    const query = new DataqueryBuilder().expr(expr).legendFormat(legend).refId(String.fromCharCode(65 + index)).datasource(DATASOURCE);
    panel.withTarget(newest ? query.instant() : query.range());
  });
  return panel;
}

/**
 * What a figure that is folded from the log has grown by in the window: now less then, and less nothing where there was nothing yet.
 * Exact, first step included; delta() would miss that, and rate() takes a sum that falls for a restart. `by`: labels that stay.
 */
export function grown(metric: string, by: string, where: string): string {
  const now = `sum by (${by}) (${metric}{${where}})`;
  return `(${now} - (sum by (${by}) (${metric}{${where}} offset $window) or ${now} * 0))`;
}

/** Mean of a learning figure over the window: Δsum / Δcount. */
export function figureMean(figure: string, by = 'run, stage'): string {
  const where = `run=~"$run", figure=~"${figure}"`;
  return `${grown('stemma_learning_figure_sum_folded', by, where)} / (${grown('stemma_learning_observations_total', by, where)} > 0)`;
}

/** A quantile of a latency histogram. */
export function quantile(q: number, metric: string, { by = '', where = '' } = {}): string {
  return `histogram_quantile(${q}, sum by (${['le', by].filter((label) => label !== '').join(', ')}) (rate(${metric}_bucket${where}[$__rate_interval])))`;
}

/** Median and 95th percentile of one histogram. */
export function latency(metric: string, by = ''): Query[] {
  const legend = (name: string): string => (by === '' ? name : `${name} ${by.split(', ').map((label) => `{{${label}}}`).join(' ')}`);
  return [{ expr: quantile(0.5, metric, { by }), legend: legend('median') }, { expr: quantile(0.95, metric, { by }), legend: legend('p95') }];
}

/** Increase a second of a counter, summed over everything but `by`. */
export function perSecond(metric: string, by: string, where = ''): string {
  return `sum by (${by}) (rate(${metric}${where}[$__rate_interval]))`;
}
