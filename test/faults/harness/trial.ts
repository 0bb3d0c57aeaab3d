/** Where one trial keeps what it needs: the system's home, and beside it what the harness knows and the system does not. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { shimEnvironment, type ShimFolders } from './shim.js';

/** 0…1 of tasks delivered twice at once, of events read twice, of appends sent again, late. */
export interface Shares {
  readonly twice?: number;
  readonly redelivered?: number;
  readonly resent?: number;
}

export interface TrialSettings {
  readonly seed: number;
  /** Names in ../instrument/patches.mjs. */
  readonly patches: readonly string[];
  readonly shares?: Shares;
  readonly proxies?: { readonly [name: string]: { readonly address: string; readonly targetFile: string } };
}

export interface Trial {
  readonly folder: string;
  readonly home: string;
  readonly oracleFile: string;
  readonly shim: ShimFolders;
  /** Of the system's processes: instrumented, under the shim. */
  readonly environment: { readonly [name: string]: string };
  /** From now on, in all processes. */
  deliver(shares: Shares): void;
  remove(): void;
}

const PRELOAD = resolve(import.meta.dirname, '../instrument/preload.mjs');

export function newTrial(settings: (folder: string) => TrialSettings): Trial {
  const folder = mkdtempSync(join(tmpdir(), 'stemma-faults-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  const oracleFile = join(folder, 'oracle.jsonl');
  const shim = { root: home, shadow: join(folder, 'shadow'), control: join(folder, 'control') };
  const sharesFile = join(folder, 'shares.json');
  const deliver = (shares: Shares): void => {
    writeFileSync(`${sharesFile}.new`, JSON.stringify(shares));
    renameSync(`${sharesFile}.new`, sharesFile);
  };
  const { shares = {}, ...given } = settings(folder);
  deliver(shares);
  return {
    folder, home, oracleFile, shim, deliver,
    environment: {
      ...shimEnvironment(shim),
      NODE_OPTIONS: `--import=${PRELOAD}`,
      STEMMA_TEST_INSTRUMENT: JSON.stringify({ oracle: oracleFile, shares: sharesFile, ...given }),
    },
    remove: () => { if (process.env['STEMMA_TEST_KEEP'] === undefined) rmSync(folder, { recursive: true, force: true }); },
  };
}
