/**
 * What patched code calls: the oracle's lines, and disturbances drawn from a seed and the name of the thing, so that they
 * are the same in every run. A line is one write to a file opened for appending: it survives the process, and several
 * processes may write.
 */
import { createHash, randomBytes } from 'node:crypto';
import { openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';

/** In distributed mode several sidecars run, each below the service in whose home it is. */
const OWNER = /\/roles\/([^/]+)$/.exec(process.env.STEMMA_HOME ?? '')?.[1];

/** @typedef {{ twice?: number, redelivered?: number, resent?: number }} Shares */
/** @param {{ oracle: string, seed: number, shares: string, proxies?: Record<string, { address: string, targetFile: string }> }} settings */
export function createInstrument(settings) {
  const oracle = openSync(settings.oracle, 'a');
  const say = (line) => writeSync(oracle, `${JSON.stringify({ ...line, pid: process.pid })}\n`);
  const chosen = (name, share) => createHash('sha256').update(`${settings.seed}/${name}`).digest().readUInt32BE(0) / 2 ** 32 < share;
  const doubled = new Set();
  const stale = [];
  /** Of tasks delivered twice, of events read twice, of appends sent again: as the file has them now. @returns {Shares} */
  const shares = () => JSON.parse(readFileSync(settings.shares, 'utf8'));

  return {
    async append(events, { keyOf, encode, send }) {
      if (events.length === 0) return send(events);
      const lines = events.map((event) => ({
        id: event.id, stream: event.stream, type: event.payload.$case, key: keyOf(event.payload),
        digest: createHash('sha256').update(encode({ ...BARE, payload: event.payload }).finish()).digest('hex').slice(0, 32),
      }));
      for (const line of lines) say({ line: 'attempted', ...line });
      const positions = await send(events);
      for (const { id, digest } of lines) say({ line: 'acknowledged', id, digest });
      await resend(events, send);
      return positions;
    },

    sampled(input, turn) {
      say({ line: 'sampled', seed: String(input.seed), tokens: input.tokens.length });
      return turn;
    },

    async task(name, input, run) {
      const key = `${name}/${JSON.stringify(input)}`;
      if (doubled.has(key) || !chosen(key, shares().twice ?? 0)) return run();
      doubled.add(key);
      say({ line: 'task delivered twice', key });
      const [first, second] = await Promise.allSettled([run(), run()]);
      if (second.status === 'fulfilled') return second.value;
      if (first.status === 'fulfilled') return first.value;
      throw second.reason;
    },

    delivered(stored) {
      const { redelivered = 0 } = shares();
      return stored.flatMap((each) => {
        if (!chosen(each.event.id, redelivered)) return [each];
        if (!doubled.has(each.event.id)) say({ line: 'event delivered twice', id: each.event.id });
        doubled.add(each.event.id);
        return [each, each];
      });
    },

    otherSeed: (input) => ({ ...input, seed: randomBytes(8).readBigUInt64BE() }),

    via: (name, address) => through(name === 'sidecar' && OWNER !== undefined ? `${OWNER}-sidecar` : name, address),

    /** Of this process alone. */
    own: (name, address) => through(`${OWNER}-${name}`, address),

    ownEndpoint(name, { host, port }) {
      const [ownHost, ownPort] = through(`${OWNER}-${name}`, `${host}:${port}`).split(':');
      return { host: ownHost, port: Number(ownPort) };
    },
  };

  function through(name, address) {
    const proxy = settings.proxies?.[name];
    if (proxy === undefined) return address;
    // The proxy reads it whenever somebody connects: never half of it.
    const fresh = `${proxy.targetFile}.${process.pid}`;
    writeFileSync(fresh, address);
    renameSync(fresh, proxy.targetFile);
    return proxy.address;
  }

  /** An old append again, late: out of order with what was appended since. */
  async function resend(events, send) {
    if (chosen(`stale ${events[0].id}`, shares().resent ?? 0)) stale.push(events);
    if (stale.length < 4) return;
    const old = stale.shift();
    await send(old);
    say({ line: 'append delivered again', id: old[0].id });
  }
}

const BARE = { id: '', stream: '', claim: '', seq: 0, causationId: '', correlationId: '', schemaVersion: 0, recordedAtMs: 0n };
