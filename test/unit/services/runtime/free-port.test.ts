import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { firstOutgoingPort, freePort, freePorts } from '../../../../services/runtime/free-port.js';

it('finds ports that can be bound, all different, none of which an outgoing connection could be given', async () => {
  const several = await freePorts(20);
  expect(new Set(several).size).toBe(20);
  const ports = [...several, await freePort(0, 'STEMMA_GATEWAY_PORT')];
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(10_240);
  expect(Math.max(...ports)).toBeLessThan(firstOutgoingPort());
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
