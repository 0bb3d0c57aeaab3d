import { integerSetting, mixturesSetting, readSettings } from '../settings.js';
import type { Mixtures, RawSettings } from '../settings.js';

/** Calls in the hidden support path. */
export const TOOLS_VARIANTS = ['1-call', '2-call', '3-call'] as const;

export interface ToolsSettings {
  readonly seed: number;
  /** Items in the inventory at the start. */
  readonly items: number;
  readonly mixtures: Mixtures;
}

const RULES = {
  seed: integerSetting(1, 0, 2 ** 31 - 1),
  items: integerSetting(4, 3, 6),
  mixtures: mixturesSetting(
    { '': { '1-call': 1, '2-call': 2, '3-call': 2 }, easy: { '1-call': 3, '2-call': 2, '3-call': 1 }, compositions: { '2-call': 1, '3-call': 1 } },
    TOOLS_VARIANTS,
  ),
};

export function readToolsSettings(raw: RawSettings): ToolsSettings {
  return readSettings<ToolsSettings>('tools', raw, RULES);
}
