// What set-up says while it works: a line when a step starts and ends, and every ten seconds what is still going on.
// All of it goes to stderr: stdout belongs to the command that set-up prepares.
const HEARTBEAT_MS = 10_000;

/** @param {number} ms @returns {string} `0.4 s`, `12 s`, `3 m 05 s` */
export function duration(ms) {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
}

/**
 * @typedef {{
 *   say(line: string): void,
 *   step<T>(what: string, body: () => Promise<T>): Promise<T>,
 *   seconds(): Record<string, number>,
 * }} Progress
 */

/** @param {(line: string) => void} print @returns {Progress} */
export function createProgress(print = (line) => void process.stderr.write(`${line}\n`)) {
  /** @type {Map<string, number>} */
  const running = new Map();
  /** @type {Record<string, number>} */
  const seconds = {};
  return {
    say: (line) => print(`  ${line}`),
    seconds: () => seconds,
    async step(what, body) {
      const startedAt = performance.now();
      print(`  ${what} …`);
      running.set(what, startedAt);
      const heartbeat = setInterval(() => {
        if ([...running.keys()][0] !== what) return;
        print(`    still at it: ${[...running].map(([name, at]) => `${name} (${duration(performance.now() - at)})`).join(', ')}`);
      }, HEARTBEAT_MS);
      try {
        const result = await body();
        print(`  ${what}: done in ${duration(performance.now() - startedAt)}`);
        seconds[what] = (performance.now() - startedAt) / 1000;
        return result;
      } catch (error) {
        print(`  ${what}: failed after ${duration(performance.now() - startedAt)}`);
        throw error;
      } finally {
        clearInterval(heartbeat);
        running.delete(what);
      }
    },
  };
}
