/**
 * Ports on loopback that are free now, for who must know them before somebody binds them. Drawn from below the range from which the system
 * gives ports to outgoing connections: one of those would otherwise sit on such a port before its part starts, or while it is restarted.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { StemmaError, type Boundary } from '../../core/errors.js';

const HOST = '127.0.0.1';
/** Below are the ports that well-known servers listen on. */
const LOWEST = 10_240;
/** Where Linux begins by default; other systems begin higher. */
const USUAL_OUTGOING = 32_768;
const DRAWS = 100;

/** `wanted` if it is free, any free one for 0. LOCKED if it is in use; `setting` names what to change then. */
export async function freePort(wanted: number, setting: string, boundary: Boundary = 'setup'): Promise<number> {
  const server = await (wanted === 0 ? listenOnAny() : listen(wanted)).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EADDRINUSE'
      ? new StemmaError(boundary, 'LOCKED', `port ${wanted} on ${HOST} is in use`, `Stop the program that uses it, or set ${setting} to another port.`, error)
      : new StemmaError(boundary, 'UNAVAILABLE', `cannot listen on ${HOST}:${wanted}: ${error.message}`, `Set ${setting} to a port you may use.`, error);
  });
  return release(server);
}

/** That many, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listenOnAny()));
  return Promise.all(servers.map(release));
}

/** The first port that an outgoing connection may be given. */
export function firstOutgoingPort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
  } catch {
    return USUAL_OUTGOING;
  }
}

async function listenOnAny(): Promise<Server> {
  const above = firstOutgoingPort();
  for (let draw = 0; draw < DRAWS && above > LOWEST; draw += 1) {
    try {
      return await listen(randomInt(LOWEST, above));
    } catch (error) {
      if (!['EADDRINUSE', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return listen(0);
}

async function listen(port: number): Promise<Server> {
  const server = createServer().listen(port, HOST);
  await once(server, 'listening');
  return server;
}

async function release(server: Server): Promise<number> {
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
