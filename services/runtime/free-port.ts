/** Ports on loopback that are free now. Between this and the binding of whoever asked, another process may take one. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { StemmaError, type Boundary } from '../../core/errors.js';

const HOST = '127.0.0.1';

/** `wanted` if it is free, any free one for 0. LOCKED if it is in use; `setting` names what to change then. */
export async function freePort(wanted: number, setting: string, boundary: Boundary = 'setup'): Promise<number> {
  const server = await listen(wanted).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EADDRINUSE'
      ? new StemmaError(boundary, 'LOCKED', `port ${wanted} on ${HOST} is in use`, `Stop the program that uses it, or set ${setting} to another port.`, error)
      : new StemmaError(boundary, 'UNAVAILABLE', `cannot listen on ${HOST}:${wanted}: ${error.message}`, `Set ${setting} to a port you may use.`, error);
  });
  return release(server);
}

/** That many, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  return Promise.all(servers.map(release));
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
