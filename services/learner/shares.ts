/** A mixture of domains as row counts. */
import { DOMAINS, type Domain } from '../../core/environment.js';

/** How many rows each domain gives: largest remainders, so that the shares add up to `rows`. */
export function sharesOf(mixture: { readonly [D in Domain]?: number }, rows: number): { domain: Domain; rows: number }[] {
  const total = DOMAINS.reduce((n, d) => n + (mixture[d] ?? 0), 0);
  let before = 0;
  let given = 0;
  return DOMAINS.filter((d) => (mixture[d] ?? 0) > 0).map((domain) => {
    before += mixture[domain] ?? 0;
    const upTo = Math.round((rows * before) / total);
    const share = { domain, rows: upTo - given };
    given = upTo;
    return share;
  });
}
