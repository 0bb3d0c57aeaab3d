/** Where processes listen, as the kernel has it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const LISTEN = '0A';

/** host:port of each TCP socket on which one of these processes listens, sorted. Linux. */
export function listeningOf(pids: readonly number[]): string[] {
  const sockets = new Map([...tableOf('/proc/net/tcp'), ...tableOf('/proc/net/tcp6')]);
  const found = pids.flatMap((pid) => inodesOf(pid).flatMap((inode) => sockets.get(inode) ?? []));
  return [...new Set(found)].sort();
}

/** Those that another machine could reach. */
export function reachableFromElsewhere(listening: readonly string[]): string[] {
  return listening.filter((address) => !/^127\.|^::1:|^::ffff:127\./.test(address));
}

function tableOf(file: string): [inode: string, address: string][] {
  return readFileSync(file, 'utf8').trim().split('\n').slice(1).flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === LISTEN ? [[inode, addressOf(local)] as [string, string]] : [];
  });
}

/** Words of 32 bits in this machine's order, in hex. */
function addressOf(local: string): string {
  const [host = '', port = ''] = local.split(':');
  const bytes = (host.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex')].reverse());
  return `${bytes.length === 4 ? bytes.join('.') : ipv6(bytes)}:${Number.parseInt(port, 16)}`;
}

function ipv6(bytes: readonly number[]): string {
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (mapped) return `::ffff:${bytes.slice(12).join('.')}`;
  if (bytes.slice(0, 15).every((byte) => byte === 0)) return bytes[15] === 0 ? '::' : `::${bytes[15]}`;
  return Buffer.from(bytes).toString('hex');
}

/** A process that ends meanwhile has none. */
function inodesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}
