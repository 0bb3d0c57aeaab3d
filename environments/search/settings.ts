import { integerSetting, mixturesSetting, numberSetting, readSettings } from '../settings.js';
import type { Mixtures, RawSettings } from '../settings.js';

/** Hops from the anchor page; `masked` anchors are described and must be searched for. */
export const SEARCH_VARIANTS = ['1-hop', '2-hop', '3-hop', '1-hop-masked', '2-hop-masked', '3-hop-masked'] as const;

export interface SearchSettings {
  readonly seed: number;
  /** Pages in the corpus. */
  readonly pages: number;
  /** Links out of each page, and into each page. */
  readonly links: number;
  /** Share of demonstrations that ask read_page for one link instead of the whole page. */
  readonly queryShare: number;
  readonly mixtures: Mixtures;
}

const RULES = {
  seed: integerSetting(1, 0, 2 ** 31 - 1),
  pages: integerSetting(180, 150, 192),
  links: integerSetting(3, 2, 5),
  queryShare: numberSetting(0.3, 0, 1),
  mixtures: mixturesSetting(
    { '': { '1-hop': 1, '2-hop': 1, '1-hop-masked': 1, '2-hop-masked': 1, '3-hop': 1 }, easy: { '1-hop': 3, '1-hop-masked': 2, '2-hop': 1 } },
    SEARCH_VARIANTS,
  ),
};

export function readSearchSettings(raw: RawSettings): SearchSettings {
  return readSettings<SearchSettings>('search', raw, RULES);
}
