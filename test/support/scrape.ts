/** A process's metrics page, as Prometheus would read it. */
import { setTimeout as delay } from 'node:timers/promises';

const EVERY_MS = 500;

/** The page, again and again until `ended`. */
export async function scrapeUntil(ended: Promise<unknown>, url: string): Promise<string[]> {
  const pages: string[] = [];
  let over = false;
  void ended.finally(() => { over = true; });
  while (!over) {
    // The process may end between two looks.
    const page = await fetch(url).then((response) => response.text(), () => undefined);
    if (page !== undefined) pages.push(page);
    await delay(EVERY_MS);
  }
  return pages;
}

/** Of a metric's samples; a histogram's are its buckets, sum and count. */
export function sumOf(page: string, metric: string): number {
  const sample = new RegExp(`^${metric}(?:_bucket|_sum|_count)?(?:\\{.*\\})? (\\S+)`);
  return page.split('\n').reduce((sum, line) => sum + Math.abs(Number(sample.exec(line)?.[1] ?? 0)), 0);
}
