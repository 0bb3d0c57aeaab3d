/** A TCP proxy between two parts of the system that delays, throttles, holds back, drops and resets when told to, and counts what it did. */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface ProxyMode {
  /** Each chunk waits so long, in order. */
  readonly delayMs: number;
  /** 0: as fast as it comes. */
  readonly bytesPerSecond: number;
  /** What is sent goes nowhere; connections stay open. */
  readonly drop: boolean;
  /** What is sent is kept, ends of connections too, and handed on when this is over: a cable that is out, and TCP that sends again. */
  readonly hold: boolean;
  /** Holding begins with the chunk it says true of: nothing of that chunk has arrived. */
  readonly holdFrom?: (chunk: Buffer) => boolean;
}

export const CLEAR: ProxyMode = { delayMs: 0, bytesPerSecond: 0, drop: false, hold: false };
export const HELD: ProxyMode = { ...CLEAR, hold: true };

export interface ProxyCounts {
  forwardedBytes: number;
  delayedBytes: number;
  droppedBytes: number;
  heldBytes: number;
  resets: number;
}

export class Proxy {
  readonly counts: ProxyCounts = { forwardedBytes: 0, delayedBytes: 0, droppedBytes: 0, heldBytes: 0, resets: 0 };
  private readonly open = new Set<Socket>();
  private current: ProxyMode = CLEAR;
  private release: () => void = () => undefined;
  private released = Promise.resolve();

  private constructor(private readonly server: Server, readonly address: string) {}

  /** `target` is asked at each connection: the part behind may move. */
  static async listen(target: () => string): Promise<Proxy> {
    const server = createServer();
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const bound = server.address();
    const proxy = new Proxy(server, `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`);
    server.on('connection', (client) => {
      try {
        proxy.join(client, target());
      } catch (error) {
        // Left open, it would keep the server from closing. The test still fails of it.
        client.destroy();
        throw error;
      }
    });
    return proxy;
  }

  get mode(): ProxyMode {
    return this.current;
  }

  set mode(mode: ProxyMode) {
    if (mode.hold && !this.current.hold) this.released = new Promise((resolve) => { this.release = resolve; });
    if (!mode.hold) this.release();
    this.current = mode;
  }

  /** Breaks every connection as a failing link does: RST, no FIN. */
  reset(): void {
    for (const socket of this.open) {
      socket.resetAndDestroy();
      this.counts.resets += 1;
    }
  }

  async close(): Promise<void> {
    this.mode = CLEAR;
    for (const socket of this.open) socket.destroy();
    await new Promise<void>((resolve) => { this.server.close(() => resolve()); });
  }

  private join(client: Socket, target: string): void {
    const [host, port] = target.split(':');
    const upstream = connect({ host: host ?? '', port: Number(port) });
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      this.open.add(from);
      from.setNoDelay(true);
      let queue = Promise.resolve();
      from.on('data', (chunk: Buffer) => { queue = queue.then(() => this.forward(chunk, to)); });
      from.on('end', () => { queue = queue.then(() => this.passed()).then(() => void to.end()); });
      // What it sent before arrives before.
      const over = (): void => { queue = queue.then(() => this.passed()).then(() => void to.destroy()); };
      from.on('error', over);
      from.on('close', () => {
        this.open.delete(from);
        over();
      });
    }
  }

  private passed(): Promise<void> {
    return this.current.hold ? this.released : Promise.resolve();
  }

  private async forward(chunk: Buffer, to: Socket): Promise<void> {
    if (!this.current.hold && this.current.holdFrom?.(chunk) === true) this.mode = HELD;
    if (this.current.hold) this.counts.heldBytes += chunk.length;
    await this.passed();
    const { delayMs, bytesPerSecond, drop } = this.mode;
    if (drop) {
      this.counts.droppedBytes += chunk.length;
      return;
    }
    const waitMs = delayMs + (bytesPerSecond > 0 ? (chunk.length / bytesPerSecond) * 1000 : 0);
    if (waitMs > 0) {
      this.counts.delayedBytes += chunk.length;
      await delay(waitMs);
    }
    if (to.destroyed) return;
    this.counts.forwardedBytes += chunk.length;
    to.write(chunk);
  }
}
