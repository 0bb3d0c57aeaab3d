import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { freePort, freePorts } from '../../../../services/runtime/free-port.js';

it('finds ports that can be bound, all different', async () => {
  const ports = await freePorts(3);
  expect(new Set(ports).size).toBe(3);
  expect(Math.min(...ports)).toBeGreaterThan(0);
});

it('gives the port that is asked for, or says which setting to change', async () => {
  const wanted = await freePort(0, 'STEMMA_GATEWAY_PORT');
  expect(await freePort(wanted, 'STEMMA_GATEWAY_PORT')).toBe(wanted);
  const holder = createServer().listen(wanted, '127.0.0.1');
  await once(holder, 'listening');
  await expect(freePort(wanted, 'STEMMA_GATEWAY_PORT')).rejects.toMatchObject({
    boundary: 'setup', code: 'LOCKED', message: expect.stringContaining(String(wanted)), remedy: expect.stringContaining('STEMMA_GATEWAY_PORT'),
  });
  holder.close();
});
