/**
 * A real Chromium for tests, the one that set-up found; without it such tests are skipped by name, and fail under CI=true.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { describe, expect, test } from 'vitest';

const TOOLCHAIN = resolve(import.meta.dirname, '../../.stemma/toolchain.json');
/** No display, no sandbox of its own (tests may run as root), nothing fetched from elsewhere. */
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

function executable(): string {
  const given = process.env['STEMMA_CHROMIUM'];
  if (given) return given;
  try {
    return (JSON.parse(readFileSync(TOOLCHAIN, 'utf8')) as { chromium?: string }).chromium ?? '';
  } catch {
    return '';
  }
}

/** A suite that drives a browser. */
export function describeWithBrowser(name: string, suite: () => void): void {
  if (executable() !== '') return void describe(name, suite);
  const reason = 'no Chromium: run `npm run setup -- --only=packages,chromium`, or set STEMMA_CHROMIUM';
  if (process.env['CI'] === 'true') return void test(name, () => expect.fail(reason));
  describe.skip(`${name} (${reason})`, suite);
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: executable(), args: FLAGS });
}
