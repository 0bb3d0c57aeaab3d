/**
 * A real Chromium for tests, the one that set-up found; without it such tests are skipped by name, and fail under CI=true.
 */
import { chromium, type Browser } from 'playwright-core';
import { describeUnlessLacking, setUpPart } from './set-up-part.js';

/** No display, no sandbox of its own (tests may run as root), nothing fetched from elsewhere. */
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const executable = (): string => process.env['STEMMA_CHROMIUM'] || setUpPart('chromium');

/** A suite that drives a browser. */
export function describeWithBrowser(name: string, suite: () => void): void {
  describeUnlessLacking(executable() === '' ? 'no Chromium: run `npm run setup -- --only=packages,chromium`, or set STEMMA_CHROMIUM' : '', name, suite);
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: executable(), args: FLAGS });
}
