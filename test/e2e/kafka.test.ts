/** The micro recipe with its events in Kafka: the same weights as with the embedded log, and every reader finds the run there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli } from '../support/quickstart.js';
import { describeWithKafka, openRealKafka, type RealKafka } from '../support/real-kafka.js';

let kafka: RealKafka;
let home: string;

interface Outcome {
  readonly run: string;
  readonly weights: string;
}

async function micro(where: string, log: readonly string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await cli(where, ['quickstart', '--recipe', 'micro', '--json', ...log]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Outcome;
}

describeWithKafka('the micro recipe over Kafka', () => {
  beforeAll(async () => {
    kafka = await openRealKafka();
    home = await mkdtemp(join(tmpdir(), 'stemma-e2e-'));
  });
  afterAll(async () => {
    await kafka.dispose();
    await rm(home, { recursive: true, force: true });
  });

  it('ends in the same weights as with the embedded log; status, verify, replay and lineage read it from there', async () => {
    const log = ['--log', `kafka://${kafka.brokers[0]}`];
    const over = await micro(join(home, 'kafka'), log);
    const embedded = await micro(join(home, 'embedded'), []);
    expect(over.weights).toBe(embedded.weights);
    const read = async (...args: string[]): Promise<string> => (await cli(join(home, 'kafka'), [...args, ...log])).stdout;
    expect(await read('status')).toContain(over.run);
    expect(await read('verify', over.run)).toMatch(/^CLEAN/);
    expect(await read('replay', over.run)).toContain('IDENTICAL');
    expect(await read('lineage', over.weights)).toContain(`run ${over.run}`);
    // Without the setting it is not there.
    expect((await cli(join(home, 'kafka'), ['verify', over.run])).code).not.toBe(0);
  });

  it('says what to do where no broker answers', async () => {
    const { code, stderr } = await cli(join(home, 'none'), ['quickstart', '--recipe', 'micro', '--log', 'kafka://127.0.0.1:1']);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/Kafka at 127\.0\.0\.1:1 does not answer[^]*npm run kafka/);
  });
});
