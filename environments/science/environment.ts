/** Science: formula and unit problems. Tool: `code EXPRESSION` → its value; the protocol 'no-tools' refuses it. */
import { answersMatch, normaliseAnswer, quantityOf } from '../../core/verify/answer.js';
import { makeEnvironment } from '../domain.js';
import type { CallOutcome, DomainEnvironment, EpisodeState, Judgement } from '../domain.js';
import { hashKey } from '../random.js';
import type { RawSettings } from '../settings.js';
import { poolForSplit } from '../task-key.js';
import { answerTurn, callTurn } from '../turn.js';
import { DIGITS } from '../words.js';
import { EXPRESSION_PROBLEM_WORDS, evaluateExpression } from './expression.js';
import { SCIENCE_WORDS, enumerateProblems } from './problems.js';
import type { Problem } from './problems.js';
import { SCIENCE_VARIANTS, readScienceSettings } from './settings.js';

export const NO_TOOLS = 'no-tools';

type World = { readonly toolsAllowed: boolean };

export function createScienceEnvironment(raw: RawSettings): DomainEnvironment {
  const settings = readScienceSettings(raw);
  return makeEnvironment<Problem, World>({
    domain: 'science', revision: 1, settings, variants: SCIENCE_VARIANTS, tools: ['code'],
    vocabulary: [...SCIENCE_WORDS, ...DIGITS, ...EXPRESSION_PROBLEM_WORDS, 'code', 'no', 'tool'],
    create: poolForSplit((variant) => enumerateProblems(variant, settings)),
    world: (_problem, protocol) => ({ toolsAllowed: protocol !== NO_TOOLS }),
    call: (_problem, state, call) => calculate(state, call.words),
    judge,
    expert: (problem, style) => (usesTool(problem, style, settings.toolShare) ? toolSolution(problem) : workedSolution(problem)),
  });
}

function calculate(state: EpisodeState<World>, words: readonly string[]): CallOutcome<World> {
  const evaluation = evaluateExpression(words);
  const ok = state.world.toolsAllowed && evaluation.ok;
  const shown = evaluation.ok ? evaluation.value : evaluation.problem;
  return {
    world: state.world, observation: state.world.toolsAllowed ? shown : 'error no tool', ok,
    arguments: { expression: words.join(' ') }, evidence: [], verifier: { name: 'expression-valid', passed: ok },
  };
}

function judge(problem: Problem, state: EpisodeState<World>): Judgement {
  const correct = state.answer !== null && answersMatch(state.answer, problem.answer);
  const quantity = state.answer === null ? null : quantityOf(normaliseAnswer(state.answer));
  const formatOk = quantity !== null && quantity.unit !== '' && !quantity.unit.includes(' ');
  return { correct, formatOk, rubrics: [], fraction: Number(correct) };
}

/** 'tool' and 'no-tools' say so; 'mixed' and the default decide by the prompt. */
function usesTool(problem: Problem, style: string, toolShare: number): boolean {
  if (style === 'tool' || style === NO_TOOLS) return style === 'tool';
  return hashKey(`style\u0000${problem.prompt}`)[0] / 2 ** 32 < toolShare;
}

function toolSolution(problem: Problem): string[] {
  return [callTurn('code', problem.expression), answerTurn(problem.answer)];
}

function workedSolution(problem: Problem): string[] {
  return [answerTurn(problem.answer, `${problem.expression} = ${problem.value}`)];
}
