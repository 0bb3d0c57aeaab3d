/** The log over a real broker that asks for TLS and a password: what is right works, and each thing that is wrong is said once, with the setting to change. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readConfig } from '../../../services/runtime/config.js';
import { openLogs } from '../../../services/runtime/open-logs.js';
import { EPISODE, RUN, turnEvent } from '../../support/log-events.js';
import { openPasswordKafka, type PasswordKafka } from '../../support/password-kafka.js';
import { describeWithKafka } from '../../support/real-kafka.js';
import { selfSigned } from '../../support/self-signed.js';

const USER = 'stemma';
const PASSWORD = 'right-and-long';
const MECHANISMS = ['scram-sha-256', 'plain'] as const;

describeWithKafka('a broker with TLS and SASL', () => {
  const home = mkdtempSync(join(tmpdir(), 'stemma-secure-'));
  let kafka: PasswordKafka;
  beforeAll(async () => {
    kafka = await openPasswordKafka(join(home, 'keys'), { user: USER, password: PASSWORD });
  }, 90_000);
  afterAll(async () => {
    await kafka.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  function settings(changed: { readonly [name: string]: string }, password = PASSWORD) {
    const passwordFile = join(home, `password-${password}`);
    writeFileSync(passwordFile, `${password}\n`);
    return readConfig({
      STEMMA_HOME: join(home, 'client'), STEMMA_LOG: `kafka://${kafka.address}`, STEMMA_KAFKA_TLS: 'on', STEMMA_KAFKA_CA_FILE: kafka.trusted.authority,
      STEMMA_KAFKA_SASL: 'scram-sha-256', STEMMA_KAFKA_USER: USER, STEMMA_KAFKA_PASSWORD_FILE: passwordFile, ...changed,
    });
  }

  it.each(MECHANISMS)('takes and gives events to who has the password (%s)', async (mechanism) => {
    const logs = await openLogs(settings({ STEMMA_KAFKA_SASL: mechanism, STEMMA_HOME: join(home, mechanism) }));
    const log = await logs.open(`${RUN}-${mechanism}`, 'write');
    const event = turnEvent(EPISODE, '', 1);
    await log.append([event]);
    expect((await log.readStream(EPISODE)).map((stored) => stored.event.id)).toEqual([event.id]);
    await logs.close();
  });

  it.each(MECHANISMS)('a wrong password is said once, and not repeated (%s)', async (mechanism) => {
    await expect(openLogs(settings({ STEMMA_KAFKA_SASL: mechanism }, 'wrong-and-long'))).rejects.toMatchObject({
      boundary: 'log', code: 'INVALID', retriable: false, message: expect.not.stringContaining('wrong-and-long'), remedy: expect.stringContaining('STEMMA_KAFKA_PASSWORD_FILE'),
    });
  });

  it('a broker whose authority is not trusted, or is none of the system\'s, is refused', async () => {
    const other = selfSigned(join(home, 'keys'), 'other');
    for (const file of [other.authority, '']) {
      await expect(openLogs(settings({ STEMMA_KAFKA_CA_FILE: file }))).rejects.toMatchObject({
        boundary: 'log', code: 'INVALID', retriable: false, message: expect.stringMatching(/certificate/), remedy: expect.stringContaining('STEMMA_KAFKA_CA_FILE'),
      });
    }
  });

  it.each([
    ['without TLS', { STEMMA_KAFKA_TLS: 'off' }, 'STEMMA_KAFKA_TLS'],
    ['without a password', { STEMMA_KAFKA_SASL: 'none' }, 'STEMMA_KAFKA_SASL'],
  ])('asked %s it hangs up, and the message names the setting', async (_how, changed, setting) => {
    await expect(openLogs(settings(changed))).rejects.toMatchObject({ boundary: 'log', remedy: expect.stringContaining(setting) });
  });

  it('TLS asked of a plain listener is said', async () => {
    await expect(openLogs(settings({ STEMMA_LOG: `kafka://${kafka.brokers[0]}` }))).rejects.toMatchObject({ boundary: 'log', remedy: expect.stringContaining('STEMMA_KAFKA_TLS') });
  });
});
