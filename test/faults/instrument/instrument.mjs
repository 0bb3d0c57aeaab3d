/**
 * What patched code calls: the oracle's lines, and disturbances drawn from a seed and the name of the thing, so that they
 * are the same in every run. A line is one write to a file opened for appending: it survives the process, and several
 * processes may write.
 */
import { createHash, randomBytes } from 'node:crypto';
import { openSync, writeFileSync, writeSync } from 'node:fs';

/** @param {{ oracle: string, seed: number, twice?: number, redelivered?: number, proxies?: Record<string, { address: string, targetFile: string }> }} settings */
export function createInstrument(settings) {
  const oracle = openSync(settings.oracle, 'a');
  const say = (line) => writeSync(oracle, `${JSON.stringify({ ...line, pid: process.pid })}\n`);
  const chosen = (name, share) => createHash('sha256').update(`${settings.seed}/${name}`).digest().readUInt32BE(0) / 2 ** 32 < share;
  const doubled = new Set();
  const stale = [];

  return {
    async append(events, { keyOf, encode, send }) {
      if (events.length === 0) return send(events);
      const lines = events.map((event) => ({
        id: event.id, stream: event.stream, type: event.payload.$case, key: keyOf(event.payload),
        digest: createHash('sha256').update(encode({ ...BARE, payload: event.payload }).finish()).digest('hex').slice(0, 32),
      }));
      for (const line of lines) say({ line: 'attempted', ...line });
      await send(events);
      for (const { id, digest } of lines) say({ line: 'acknowledged', id, digest });
      await redeliver(events, send);
    },

    sampled(input, turn) {
      say({ line: 'sampled', seed: String(input.seed), tokens: input.tokens.length });
      return turn;
    },

    async task(name, input, run) {
      const key = `${name}/${JSON.stringify(input)}`;
      if (doubled.has(key) || !chosen(key, settings.twice ?? 0)) return run();
      doubled.add(key);
      say({ line: 'task delivered twice', key });
      const [first, second] = await Promise.allSettled([run(), run()]);
      if (second.status === 'fulfilled') return second.value;
      if (first.status === 'fulfilled') return first.value;
      throw second.reason;
    },

    delivered(stored) {
      return stored.flatMap((each) => {
        if (!chosen(each.event.id, settings.redelivered ?? 0)) return [each];
        if (!doubled.has(each.event.id)) say({ line: 'event delivered twice', id: each.event.id });
        doubled.add(each.event.id);
        return [each, each];
      });
    },

    otherSeed: (input) => ({ ...input, seed: randomBytes(8).readBigUInt64BE() }),

    via(name, address) {
      const proxy = settings.proxies?.[name];
      if (proxy === undefined) return address;
      writeFileSync(proxy.targetFile, address);
      return proxy.address;
    },
  };

  /** An old append again, late: out of order with what was appended since. */
  async function redeliver(events, send) {
    if (!(settings.redelivered > 0)) return;
    if (chosen(`stale ${events[0].id}`, settings.redelivered)) stale.push(events);
    if (stale.length < 4) return;
    const old = stale.shift();
    await send(old);
    say({ line: 'append delivered again', id: old[0].id });
  }
}

const BARE = { id: '', stream: '', claim: '', seq: 0, causationId: '', correlationId: '', schemaVersion: 0, recordedAtMs: 0n };
