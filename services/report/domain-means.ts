import { DOMAINS } from '../../core/environment.js';
import type { Domain } from '../../core/environment.js';
import { meanOf } from '../../core/projection/curves.js';

export type ByDomain = { readonly [D in Domain]?: number };

/** Over the domains that have a value; undefined where none has. */
export function meanOver(values: ByDomain): number | undefined {
  return meanOf(DOMAINS.flatMap((domain) => values[domain] ?? []));
}

/** A row's mean against another's: "−0.030"; "–" where one has none. */
export function gapText(values: ByDomain, reference: ByDomain): string {
  const [own, best] = [meanOver(values), meanOver(reference)];
  if (own === undefined || best === undefined) return '–';
  const gap = own - best;
  return `${gap < 0 ? '−' : '+'}${Math.abs(gap).toFixed(3)}`;
}

export function shareText(value: number | undefined): string {
  return value?.toFixed(3) ?? '–';
}
