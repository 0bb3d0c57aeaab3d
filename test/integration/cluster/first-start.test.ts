/** Services whose surroundings are not there yet, or never will be: who waits, who is given up, and what each says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRoleProcess, type RoleProcessSpec } from '../../../services/cluster/role-process.js';
import { ensureLocalKey } from '../../../services/runtime/access/local-key.js';
import { readConfig, type Config } from '../../../services/runtime/config.js';
import { freePorts } from '../../../services/runtime/free-port.js';
import { startTemporal } from '../../../services/runtime/temporal-process.js';
import { describeWithKafka, openRealKafka, type RealKafka } from '../../support/real-kafka.js';
import { findTemporal } from '../../support/temporal-executable.js';

const executable = findTemporal();

describeWithKafka('a service at its first start', () => {
  const home = mkdtempSync(join(tmpdir(), 'stemma-first-start-'));
  let kafka: RealKafka;
  beforeAll(async () => { kafka = await openRealKafka(); });
  afterAll(async () => {
    await kafka.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  /** `lines`: what it says until it is ready; `heard` resolves with the first that fits. */
  function observed() {
    const lines: string[] = [];
    const deaths: (number | null)[] = [];
    let look = (): void => undefined;
    const heard = (fits: RegExp): Promise<string> => new Promise((resolve) => {
      look = () => {
        const found = lines.find((line) => fits.test(line));
        if (found !== undefined) resolve(found);
      };
      look();
    });
    const spec: Pick<RoleProcessSpec, 'onLine' | 'onDeath' | 'tls'> = { tls: null, onLine: (line) => { lines.push(line); look(); }, onDeath: ({ code }) => deaths.push(code) };
    return { heard, deaths, spec };
  }

  function configOf(settings: { readonly [name: string]: string }): Config {
    return readConfig(undefined, { STEMMA_HOME: home, STEMMA_LOG: `kafka://${kafka.brokers[0]}`, ...settings });
  }

  it.skipIf(executable === undefined)('waits for Temporal, says so, and is ready when it comes', async () => {
    const [port] = await freePorts(1);
    const config = configOf({ STEMMA_TEMPORAL_ADDRESS: `127.0.0.1:${port}` });
    ensureLocalKey(config);
    const { heard, deaths, spec } = observed();
    const starting = startRoleProcess({ name: 'worker-7', role: 'worker', config, ...spec });
    expect(await heard(/waits/)).toMatch(/^worker-7 waits: Temporal at 127\.0\.0\.1:\d+ cannot be reached/);
    const temporal = await startTemporal({ executable: executable!, databaseFile: join(home, 'temporal.db'), logFile: join(home, 'temporal.log'), port });
    const worker = await starting;
    await worker.stop();
    await temporal.stop();
    expect(deaths).toEqual([]);
  });

  it('waits for the broker until nobody wants it any more', async () => {
    const [port] = await freePorts(1);
    const stop = new AbortController();
    const { heard, deaths, spec } = observed();
    const config = configOf({ STEMMA_LOG: `kafka://127.0.0.1:${port}`, STEMMA_TEMPORAL_ADDRESS: '127.0.0.1:1' });
    const starting = startRoleProcess({ name: 'gateway', role: 'gateway', config, ...spec, stop: stop.signal }).catch((error: unknown) => error);
    expect(await heard(/waits/)).toMatch(/^gateway waits: Kafka at 127\.0\.0\.1:\d+ does not answer/);
    stop.abort();
    expect(await starting).toMatchObject({ message: expect.stringContaining('gateway ended before it was ready') });
    expect(deaths).toEqual([]);
  });

  it('is given up at once where only a person can help, with what it lacks', async () => {
    const { deaths, spec } = observed();
    const config = configOf({ STEMMA_TEMPORAL_ADDRESS: '127.0.0.1:1', STEMMA_KEYS_FILE: join(home, 'no-such-keys.json') });
    await expect(startRoleProcess({ name: 'gateway', role: 'gateway', config, ...spec })).rejects.toThrow(/exit code 78[^]*no-such-keys\.json/);
    expect(deaths).toEqual([]);
  });
});
