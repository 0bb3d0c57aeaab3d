import { integerSetting, mixturesSetting, numberSetting, readSettings } from '../settings.js';
import type { Mixtures, RawSettings } from '../settings.js';

/** grade-1: one formula; grade-2: unit conversion; grade-3: a formula with an offset or two legs. */
export const SCIENCE_VARIANTS = ['grade-1', 'grade-2', 'grade-3'] as const;

export interface ScienceSettings {
  readonly seed: number;
  /** Factors are drawn from 2…maxFactor. */
  readonly maxFactor: number;
  /** Quantities to convert are drawn from 2…maxConverted. */
  readonly maxConverted: number;
  /** Share of demonstrations of style 'mixed' that call the tool. */
  readonly toolShare: number;
  readonly mixtures: Mixtures;
}

const RULES = {
  seed: integerSetting(1, 0, 2 ** 31 - 1),
  maxFactor: integerSetting(9, 5, 30),
  maxConverted: integerSetting(30, 10, 99),
  toolShare: numberSetting(0.2, 0, 1),
  mixtures: mixturesSetting({ '': { 'grade-1': 1, 'grade-2': 1, 'grade-3': 1 }, easy: { 'grade-1': 3, 'grade-2': 1, 'grade-3': 1 } }, SCIENCE_VARIANTS),
};

export function readScienceSettings(raw: RawSettings): ScienceSettings {
  return readSettings<ScienceSettings>('science', raw, RULES);
}
