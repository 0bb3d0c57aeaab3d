// The stage `temporal` of stemma-cpu.Dockerfile: a Temporal dev server, had as set-up has it.
//   node deploy/images/temporal.mjs OUT        → OUT/opt/temporal/temporal
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createProgress } from '../setup/progress.mjs';
import { prepareTemporal } from '../setup/temporal-step.mjs';

/** @param {string} out */
export async function assembleTemporal(out) {
  const { executable } = await prepareTemporal(createProgress());
  mkdirSync(join(out, 'opt', 'temporal'), { recursive: true });
  cpSync(executable, join(out, 'opt', 'temporal', 'temporal'));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await assembleTemporal(process.argv[2] ?? '/');
