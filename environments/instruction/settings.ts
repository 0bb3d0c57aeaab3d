import { StemmaError } from '../../core/errors.js';
import { SLOT_OF } from '../../core/verify/constraints.js';
import type { ConstraintKind } from '../../core/verify/constraints.js';
import { choiceSetting, integerSetting, mixturesSetting, readSettings } from '../settings.js';
import type { Mixtures, RawSettings } from '../settings.js';

/** rules-N: N stated constraints on a list; context: a document and a temporary rule that overrides it. */
export const INSTRUCTION_VARIANTS = ['rules-1', 'rules-2', 'rules-3', 'context'] as const;

export interface InstructionSettings {
  readonly seed: number;
  /** Words of a list, at least and at most. */
  readonly minWords: number;
  readonly maxWords: number;
  /** How many different words lists are made of. */
  readonly listWords: number;
  /** Constraints that tasks may state; `keep` is never stated. */
  readonly kinds: readonly ConstraintKind[];
  /** Lines of a context document. */
  readonly facts: number;
  readonly mixtures: Mixtures;
}

const STATED_KINDS = (Object.keys(SLOT_OF) as ConstraintKind[]).filter((kind) => kind !== 'keep');
const LEAST_KINDS = 10;

const RULES = {
  seed: integerSetting(1, 0, 2 ** 31 - 1),
  minWords: integerSetting(2, 2, 5),
  maxWords: integerSetting(3, 2, 8),
  listWords: integerSetting(12, 10, 24),
  kinds: choiceSetting(STATED_KINDS, LEAST_KINDS),
  facts: integerSetting(3, 2, 4),
  mixtures: mixturesSetting(
    { '': { 'rules-1': 1, 'rules-2': 1, context: 1 }, rules: { 'rules-1': 1, 'rules-2': 1 }, easy: { 'rules-1': 3, 'rules-2': 1, context: 1 } },
    INSTRUCTION_VARIANTS,
  ),
};

export function readInstructionSettings(raw: RawSettings): InstructionSettings {
  const settings = readSettings<InstructionSettings>('instruction', raw, RULES);
  if (settings.minWords > settings.maxWords) {
    throw new StemmaError('recipe', 'INVALID', 'environments.instruction.minWords: must not exceed maxWords', 'Correct these settings in the recipe.');
  }
  return settings;
}
