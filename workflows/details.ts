/**
 * What the Temporal UI shows of a run and of a stage while it lives ("Current Details"): Markdown, made of what the workflow knows.
 * Pure; set at the boundaries of stages and of advances, so a step costs nothing.
 */
import type { StageFigures } from '../core/projection/figures.js';
import type { AmendedSetting, StagePlan } from './activities.js';
import type { Amendment, RunStatus } from './messages.js';

export type RowState = 'waiting' | 'running' | 'evaluating' | 'finished';

/** A line of the progress table. */
export interface StageRow extends Pick<StagePlan, 'id' | 'steps'> {
  state: RowState;
  step: number;
  figures: StageFigures;
}

export interface RunPage {
  readonly run: string;
  readonly recipe: string;
  readonly seed: number;
  readonly status: RunStatus;
  /** Why it failed or was stopped; '' before. */
  readonly reason: string;
  readonly weightsHash: string;
  readonly rows: readonly StageRow[];
  readonly amendments: readonly AmendedSetting[];
}

const MARK: { readonly [S in RowState]: string } = { waiting: '', running: '▸', evaluating: '▸', finished: '✓' };
const OPEN: readonly RunStatus[] = ['opening', 'running', 'evaluating', 'paused'];
/** The UI measures a page before its lines have their height, and cuts off the last ones: these are empty. */
const FOOT = ['\u00a0', '\u00a0', '\u00a0'];
/** An amendment line each; the log has all of them. */
const AMENDMENTS_SHOWN = 5;

/** As the log has it where the run is not new: after its history was lost, or continued as new. */
export function rowsOf(stages: readonly StagePlan[]): StageRow[] {
  return stages.map(({ id, steps, reached }) => ({
    id, steps, state: reached?.finished ? 'finished' : 'waiting', step: reached?.step ?? 0, figures: reached?.figures ?? {},
  }));
}

export function runPage(page: RunPage): string {
  return [headline(page), ...(page.rows.length > 0 ? [table(page.rows)] : []), ...amended(page), ...steering(page), ...FOOT].join('\n\n');
}

export function stagePage(stage: { readonly run: string; readonly id: string; readonly doing: string; readonly step: number; readonly steps: number; readonly figures: StageFigures }): string {
  const figures = figuresText(stage.figures);
  return [
    `Stage **${stage.id}** is ${stage.doing}: step ${stage.step} of ${stage.steps}${figures === '' ? '' : `, ${figures}`}.`,
    `A stage is steered through its run: send updates to workflow \`${stage.run}\`.`,
  ].join('\n\n');
}

/** One readable line a stage, for a query: the UI shows answers as JSON. */
export function stageLines(rows: readonly StageRow[]): { readonly [stage: string]: string } {
  return Object.fromEntries(rows.map((row) => [row.id, [row.state, `step ${row.step} of ${row.steps}`, figuresText(row.figures)].filter((part) => part !== '').join(', ')]));
}

/** An input of `amend` that this run would take: for its page, its help and its refusals. */
export function exampleAmendment(rows: readonly StageRow[]): Amendment {
  const open = rows.filter(takesSteps);
  return { stage: open[open.length - 1]?.id ?? 'distill', path: 'optimizer.learningRate', value: 0.0002 };
}

/** An amendment can still reach it. */
export function takesSteps({ state }: StageRow): boolean {
  return state === 'waiting' || state === 'running';
}

/** By name: what each update needs to be typed into its input. */
export function updatesHelp(rows: readonly StageRow[]): { readonly [update: string]: string } {
  return {
    pause: 'no input; the run waits before its next step',
    resume: 'no input; the run goes on',
    stop: 'no input; the run ends after the step it is in, a paused one at once; it cannot be started again, but forked',
    amend: JSON.stringify(exampleAmendment(rows)),
  };
}

function headline({ run, recipe, seed, status, reason, weightsHash, rows }: RunPage): string {
  const at = rows.findIndex(({ state }) => state === 'running' || state === 'evaluating');
  const row = rows[at];
  const where = row === undefined ? '' : `, stage **${row.id}** (${at + 1} of ${rows.length})`;
  const what = recipe === '' ? '' : ` (recipe ${recipe}, seed ${seed})`;
  const why = reason === '' ? '' : `\n\n> ${reason.replace(/\s*\n\s*/g, ' ')}`;
  const weights = weightsHash === '' ? '' : `\n\nWeights \`${weightsHash}\``;
  return `Run \`${run}\`${what} is **${status}**${where}.${why}${weights}`;
}

function table(rows: readonly StageRow[]): string {
  const lines = rows.map(({ id, steps, state, step, figures }) => `| ${MARK[state]} | ${id} | ${state} | ${step}\u00a0of\u00a0${steps} | ${figuresText(figures)} |`);
  return ['|  | stage | state | step | newest figures |', '|---|---|---|---|---|', ...lines].join('\n');
}

function amended({ amendments }: RunPage): string[] {
  if (amendments.length === 0) return [];
  const more = amendments.length > AMENDMENTS_SHOWN ? [`${amendments.length - AMENDMENTS_SHOWN} more before them.`] : [];
  const lines = amendments.slice(-AMENDMENTS_SHOWN).map(({ stage, path, value, fromStep }) => `\`${stage} ${path}\` = \`${JSON.stringify(value)}\` from step ${fromStep} on.`);
  // Paragraphs: the UI joins the lines of a list.
  return ['Amended:', ...lines, ...more];
}

function steering({ status, rows }: RunPage): string[] {
  if (!OPEN.includes(status)) return [];
  const first = status === 'paused' ? '`resume`' : '`pause`';
  return ['To steer: More Actions → Send an Update.', `${first}, \`stop\`: no input.`, `\`amend\`: \`${JSON.stringify(exampleAmendment(rows))}\``];
}

function figuresText({ loss, reward, coverage, accuracy }: StageFigures): string {
  const parts: readonly [string, number | undefined, number][] = [['reward', reward, 3], ['loss', loss, 4], ['ρ', coverage, 3], ['accuracy', accuracy, 3]];
  return parts.flatMap(([name, value, digits]) => (value === undefined ? [] : [`${name} ${value.toFixed(digits)}`])).join(', ');
}
