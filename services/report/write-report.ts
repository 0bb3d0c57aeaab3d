import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { collectReport } from './collect.js';
import type { ReportSource } from './collect.js';
import { renderReport } from './page.js';

/** Writes `<directory>/<run>.html` and returns its path. Beside and renamed: a reader sees a whole page. */
export async function writeReport(source: ReportSource, directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const file = join(directory, `${source.run}.html`);
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, renderReport(collectReport(source)));
  await rename(partial, file);
  return file;
}
