/** Instruction following without tools: `rules-N` grades by constraint, `context` by the answer under an in-context rule. */
import { answersMatch } from '../../core/verify/answer.js';
import { checkConstraints } from '../../core/verify/constraints.js';
import { makeEnvironment } from '../domain.js';
import type { DomainEnvironment, EpisodeState, Judgement } from '../domain.js';
import type { RawSettings } from '../settings.js';
import { drawForSplit } from '../task-key.js';
import { answerTurn } from '../turn.js';
import { DIGITS } from '../words.js';
import { CONTEXT_WORDS, drawContext } from './context-task.js';
import type { ContextTask } from './context-task.js';
import { LIST_WORDS, drawList } from './list-task.js';
import type { DrawnList } from './list-task.js';
import { INSTRUCTION_VARIANTS, readInstructionSettings } from './settings.js';

type Instruction = ContextTask | DrawnList;

export function createInstructionEnvironment(raw: RawSettings): DomainEnvironment {
  const settings = readInstructionSettings(raw);
  return makeEnvironment<Instruction, null>({
    domain: 'instruction', revision: 1, settings, variants: INSTRUCTION_VARIANTS, tools: [],
    vocabulary: [...LIST_WORDS, ...CONTEXT_WORDS, ...DIGITS],
    create: (space, key) => drawForSplit<Instruction>(space, key, (random) => (
      key.variant === 'context' ? drawContext(random, settings.facts) : drawList(random, Number(key.variant.slice(-1)), settings)
    )),
    world: () => null,
    call: (_task, state) => ({ world: state.world, observation: 'error unknown tool', ok: false, arguments: null, evidence: [], verifier: null }),
    judge,
    expert: (task) => [answerTurn(task.answer)],
  });
}

/** Rubrics: one a constraint, none for context tasks. */
function judge(task: Instruction, state: EpisodeState<null>): Judgement {
  if (state.answer === null) {
    const rubrics = 'facts' in task ? [] : task.list.constraints.map(() => false);
    return { correct: false, formatOk: false, rubrics, fraction: 0 };
  }
  if ('facts' in task) {
    const correct = answersMatch(state.answer, task.answer);
    return { correct, formatOk: !state.answer.includes(' '), rubrics: [], fraction: Number(correct) };
  }
  const rubrics = checkConstraints(task.list, state.answer.split(' '));
  const met = rubrics.filter(Boolean).length;
  return { correct: met === rubrics.length, formatOk: true, rubrics, fraction: met / rubrics.length };
}
