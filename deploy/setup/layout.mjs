// Where set-up reads and writes. What takes long to build lives outside the tree, keyed by version, so that every clone shares it.
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'stemma');
/** Stamps, logs and the lock of this tree. */
export const STATE = join(ROOT, '.stemma', 'setup');
export const TOOLCHAIN = join(ROOT, '.stemma', 'toolchain.json');

/** @param {string} name */
export const logFile = (name) => join(STATE, 'logs', `${name}.log`);
/** @param {string} name */
export const stampFile = (name) => join(STATE, `${name}.stamp`);
