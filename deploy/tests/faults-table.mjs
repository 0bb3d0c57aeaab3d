// From the results of fault trials to the table of docs/faults.md and the verdict's line: pure functions.

/** @typedef {{ role: string, kind: string, after: string, proof: string, recoverySeconds: number | null }} Fault */
/** @typedef {{ lost: string[], duplicated: string[], mislabelled: string[], ledger: string[], replay: string, weights: string, repeatedTurns: number[] }} Verdict */
/** One line of the results; `unknown` says why a trial has no verdict, `unclean` what else a verdict found. @typedef {{ platform: string, seed: number, faults: Fault[], verdict?: Verdict, unknown?: string, unclean?: string[], planned?: { role: string, kind: string }[] }} Trial */
/** @typedef {{ platform: string, role: string, kind: string, times: number, trials: Set<Trial>, seconds: number[], repeated: number }} Row */

/** @param {readonly Trial[]} trials */
export function totals(trials) {
  const count = (/** @type {'lost' | 'duplicated' | 'mislabelled'} */ what) => trials.reduce((sum, { verdict }) => sum + (verdict?.[what].length ?? 0), 0);
  const judged = trials.filter(({ verdict }) => verdict !== undefined);
  return {
    faults: judged.reduce((sum, { faults }) => sum + faults.length, 0), unknown: trials.length - judged.length,
    lost: count('lost'), duplicated: count('duplicated'), mislabelled: count('mislabelled'),
  };
}

/** A trial without a verdict counts for nothing and is named. @param {readonly Trial[]} trials @returns {string} */
export function verdictLine(trials) {
  const { faults, unknown, lost, duplicated, mislabelled } = totals(trials);
  return `${faults} faults: ${lost} lost, ${duplicated} duplicated, ${mislabelled} mislabelled${unknown === 0 ? '' : `; ${unknown} trials with unknown outcome`}`;
}

/** rollout-2 → rollout; rollout-1-sidecar → sidecar of rollout. @param {string} role */
function named(role) {
  const numberless = role.replace(/-\d+/, '');
  return numberless.endsWith('-sidecar') ? `sidecar of ${numberless.slice(0, -'-sidecar'.length)}` : numberless;
}

/** @param {readonly Trial[]} trials @returns {Row[]} by platform, role, kind */
function rows(trials) {
  const byName = new Map();
  for (const trial of trials) {
    for (const [index, fault] of trial.faults.entries()) {
      const { platform } = trial;
      const { kind, recoverySeconds } = fault;
      const role = named(fault.role);
      const row = byName.get(`${platform}\n${role}\n${kind}`) ?? { platform, role, kind, times: 0, trials: new Set(), seconds: [], repeated: 0 };
      row.times += 1;
      row.trials.add(trial);
      if (recoverySeconds !== null) row.seconds.push(recoverySeconds);
      row.repeated = Math.max(row.repeated, trial.verdict?.repeatedTurns[index] ?? 0);
      byName.set(`${platform}\n${role}\n${kind}`, row);
    }
  }
  return [...byName.values()].sort((a, b) => a.platform.localeCompare(b.platform) || a.role.localeCompare(b.role) || a.kind.localeCompare(b.kind));
}

/** Faults that were drawn and never came: the runs were over, or have no verdict. @param {readonly Trial[]} trials @returns {string[]} */
export function notMet(trials) {
  const named = (/** @type {string} */ platform, /** @type {{ role: string, kind: string }} */ { role, kind }) => `${platform} ${role} ${kind}`;
  const met = new Set(trials.filter(({ verdict }) => verdict !== undefined).flatMap(({ platform, faults }) => faults.map((fault) => named(platform, fault))));
  const planned = trials.flatMap(({ platform, planned: drawn = [] }) => drawn.map((fault) => named(platform, fault)));
  return [...new Set(planned)].filter((name) => !met.has(name)).sort();
}

/** @param {readonly number[]} values @returns {number} */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

/** Median and largest; dashes where the run was over before. @param {readonly number[]} values @returns {string[]} */
function seconds(values) {
  return values.length === 0 ? ['–', '–'] : [median(values).toFixed(1), Math.max(...values).toFixed(1)];
}

/** @param {readonly Trial[]} trials @param {string} command @returns {string} the page */
export function faultsPage(trials, command) {
  const missing = notMet(trials);
  const body = rows(trials.filter(({ verdict }) => verdict !== undefined)).map((row) => {
    const sum = (/** @type {'lost' | 'duplicated' | 'mislabelled'} */ what) => [...row.trials].reduce((n, { verdict }) => n + (verdict?.[what].length ?? 0), 0);
    return `| ${[row.platform, row.role, row.kind, row.times, row.trials.size, sum('lost'), sum('duplicated'), sum('mislabelled'), ...seconds(row.seconds), row.repeated].join(' | ')} |`;
  });
  return `${INTRODUCTION}
## The last whole run

Written by \`${command}\`.

| platform | role | fault | times | seeds | lost | duplicated | mislabelled | recovery s, median | max | turns repeated, max |
|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
${body.join('\n')}

${missing.length === 0 ? 'Every fault that was drawn was met at least once.' : `Drawn and not met, since the run was over: ${missing.join(', ')}.`}

${verdictLine(trials)}
${trials.flatMap(({ platform, seed, unknown, unclean = [] }) => [...(unknown === undefined ? [] : [unknown]), ...unclean].map((what) => `\n- ${platform}, seed ${seed}: ${what.split('\n')[0]}`)).join('')}`.trimEnd().concat('\n');
}

const INTRODUCTION = `# Faults

What is broken on purpose, and what an oracle outside the system then finds. \`npm test\` runs a short cut; all of it:

    npm run test:faults -- --platform all-in-one --seeds 7 --first-seed 1 --faults 12
    npm run test:faults -- --append --platform distributed --seeds 16 --first-seed 1 --faults 10
    npm run test:faults -- --append --mode asynchronous --seeds 3 --first-seed 1 --faults 10

A seed draws, from the facts of an undisturbed run, which fault strikes which role after which fact; never after a time. Each fault is
verified from outside (process gone, state T in /proc, the shim's or the proxy's counters) or the trial fails. The run then has to finish, and is judged:

- **lost**: an append was acknowledged to its caller, and the log lacks the event or has another payload. Attempts without an answer are unknown and claim nothing.
- **duplicated**: an episode or dataset row trained on twice, a step, batch, end, request or dataset that counts twice.
- **mislabelled**: a batch whose tokens, log-probabilities, reward (recomputed by the environment from the recorded turns), domain, weights, teacher or reference scores are not this episode's.
- besides: ledger clean, every blob there, \`stemma replay\` IDENTICAL (R1), final weights those of the undisturbed run (R2). A trial in which nothing new is recorded for five minutes, or whose run ends without finishing, has an unknown outcome, never a good one, and says how each process that ended did. A fault whose turn comes when the run is over is not counted.

**Power cut.** kill -9 keeps the page cache, so a missing fsync shows only when the power goes. A preloaded shim (\`test/faults/shim\`) keeps beside each file its content at its last fsync, and each
name at its directory's last fsync; after the kill the files return to that. Full disks, failing fsyncs (after which the pages count as clean and are lost, as on Linux) and a skewed
wall clock come from the same shim. Not modelled: writes that reach the disk without fsync, torn sectors, mapped writes, renamed directories, Temporal's own database (it holds no fact).

**Distributed mode** is \`up --distributed\` with two rollout workers over a broker of its own: each service, each sidecar, Temporal, the broker and the launcher is struck, and the network before Temporal, the broker,
teacher scoring and sidecars. A *network loss* takes all connections of one rollout worker at once — Temporal, broker, sidecar — past the heartbeat time-out and until others have gone on with
its episodes. Then it is back: its connections broke and it sends again what nobody had answered, or they held and what it had sent arrives late. That a late append really arrives, behind what others recorded, and
changes nothing, is a test of its own (\`test/faults/network-loss.test.ts\`): it takes the network while a turn is on the way to the broker, and attempts differ in the tokens they sample, so that a turn that counted wrongly would show. The broker is one node and promises survival of process death only: there a power cut takes what was not synced of the blobs, while the broker's disk stays. Both platforms strike at facts of
one undisturbed run in one process, and must end in its weights.

**Asynchronous modes.** \`--mode asynchronous\` runs the recipe with \`onStale: weight\`, \`onStale: drop\` and \`inFlight: inside-turn\`, one after the other by seed. They are judged as any other, but for the final weights: which turn had which
weights depends on time there. The undisturbed run must show weighted members, dropped episodes or turns inside which the weights changed, or the trials say nothing.

**Delivery.** Tasks delivered twice at once; every event that is read delivered twice; every append sent again, after later ones.

**Trials** run a micro recipe with more steps (\`test/faults/harness/recipes.ts\`): micro itself is over within the first fault that stops nobody. Pairs of role and fault are walked through in strides, so that
consecutive seeds meet each and no trial strikes one role only; what was drawn and not met is named below the table. \`--only "broker kill"\` draws only such pairs, \`--keep\` leaves the trials' homes to look into.

**Recovery** is counted from the end of the cause to the next new fact in the log; where the sidecar had to start, from when it was ready. What it is made of: a process's start; up to five seconds until missing
heartbeats are noticed; a second for a lone broker's old session; at most three seconds between Temporal's retries. **Turns repeated**: of one episode, after one fault. One is the turn that was in flight: whoever samples a
turn after an episode's first reads back its claim before. So an episode has at most as many turns sampled again as it was taken over, and a trial in which one has more fails. A busy machine that misses heartbeats
takes an episode over twice in one disturbance.

The checker itself is tested: claims ignored, dedupe off and acknowledgement before fsync are each caught (\`test/faults/broken.test.ts\`).

`;
