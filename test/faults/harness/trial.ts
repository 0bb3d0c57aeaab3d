/** Where one trial keeps what it needs: the system's home, and beside it what the harness knows and the system does not. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { shimEnvironment, type ShimFolders } from './shim.js';

export interface TrialSettings {
  readonly seed: number;
  /** Names in ../instrument/patches.mjs. */
  readonly patches: readonly string[];
  /** Share of tasks delivered twice, of events read twice and of appends sent again. */
  readonly twice?: number;
  readonly redelivered?: number;
  readonly proxies?: { readonly [name: string]: { readonly address: string; readonly targetFile: string } };
}

export interface Trial {
  readonly folder: string;
  readonly home: string;
  readonly oracleFile: string;
  readonly shim: ShimFolders;
  /** Of the system's processes: instrumented, under the shim. */
  readonly environment: { readonly [name: string]: string };
  remove(): void;
}

const PRELOAD = resolve(import.meta.dirname, '../instrument/preload.mjs');

export function newTrial(settings: (folder: string) => TrialSettings): Trial {
  const folder = mkdtempSync(join(tmpdir(), 'stemma-faults-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  const oracleFile = join(folder, 'oracle.jsonl');
  const shim = { root: home, shadow: join(folder, 'shadow'), control: join(folder, 'control') };
  return {
    folder, home, oracleFile, shim,
    environment: {
      ...shimEnvironment(shim),
      NODE_OPTIONS: `--import=${PRELOAD}`,
      STEMMA_TEST_INSTRUMENT: JSON.stringify({ oracle: oracleFile, ...settings(folder) }),
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
