/** Doing each kind of fault to a role, and proof from outside the process that it happened. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from './plan.js';
import { isGone, stateOf, when } from './processes.js';
import { CLEAR, HELD } from './proxy.js';
import type { OracleLine, OracleReader } from './oracle.js';
import { cutPower, ShimControl } from './shim.js';
import type { System } from './system.js';
import type { Shares } from './trial.js';

export interface Injection {
  readonly system: System;
  readonly oracle: OracleReader;
  readonly fault: Fault;
  /** Aborts when the run is over, or patience. */
  readonly until: AbortSignal;
}

export interface Injected {
  /** What was seen of it. */
  readonly proof: string;
  /** performance.now() when the cause was gone: the process is started or awake again, the disk has space, the network is clear. */
  readonly overMs: number;
}

/** Longer than the heartbeat time-out: the work is given to others, and the sleeper wakes a zombie. */
const HANG_MS = 6_500;
const FULL_DISK_MS = 1_500;
const SLOW_MS = 3_000;
const LOOP = 3;
const DAY_NS = 86_400e9;
const DISTURBED_MS = 3_000;

/** When it resolves the fault has happened and is over. */
export function inject(at: Injection): Promise<Injected> {
  switch (at.fault.kind) {
    case 'kill -9': return killed(at, 1);
    case 'restart loop': return killed(at, LOOP);
    case 'hang': return hung(at);
    case 'disk full': return diskFull(at);
    case 'fsync error': return fsyncError(at);
    case 'slow network': return slowNetwork(at);
    case 'dropping network': return droppingNetwork(at);
    case 'clock ahead': return skewed(at, DAY_NS);
    case 'clock behind': return skewed(at, -DAY_NS);
    case 'power cut': return powerCut(at);
    case 'duplicate delivery': return at.fault.role === 'temporal'
      ? delivered(at, { twice: 1 }, 'task delivered twice') : delivered(at, { redelivered: 1 }, 'event delivered twice');
    case 'reordered delivery': return delivered(at, { resent: 1 }, 'append delivered again');
    case 'network loss': return networkLoss(at);
  }
}

async function livePid({ system, fault, until }: Injection): Promise<number> {
  let pid: number | undefined;
  await when(`no process of ${fault.role}`, until, () => (pid = system.pid(fault.role)) !== undefined && !isGone(pid));
  return pid!;
}

async function killed(at: Injection, times: number): Promise<Injected> {
  const pids: number[] = [];
  for (let n = 0; n < times; n += 1) {
    const pid = await livePid(at);
    process.kill(pid, 'SIGKILL');
    await when(`killing ${pid}`, at.until, () => isGone(pid));
    pids.push(pid);
    if (!at.system.comesBack(at.fault.role)) await at.system.start();
  }
  await livePid(at);
  return { proof: `gone: ${pids.join(', ')}`, overMs: performance.now() };
}

async function hung(at: Injection): Promise<Injected> {
  const pid = await livePid(at);
  process.kill(pid, 'SIGSTOP');
  await when(`stopping ${pid}`, at.until, () => stateOf(pid) === 'T');
  await delay(HANG_MS);
  process.kill(pid, 'SIGCONT');
  await when(`waking ${pid}`, at.until, () => stateOf(pid) !== 'T');
  return { proof: `${pid} in state T for ${HANG_MS} ms`, overMs: performance.now() };
}

async function withControl<T>({ system: { trial }, fault }: Injection, use: (control: ShimControl) => Promise<T>): Promise<T> {
  const control = new ShimControl(trial.shim.control, fault.role);
  try {
    return await use(control);
  } finally {
    control.close();
  }
}

function diskFull(at: Injection): Promise<Injected> {
  return withControl(at, async (control) => {
    const before = control.get('enospcHits');
    control.onlyPaths(failsLog(at) ? '/log/' : '/blobs/');
    control.set('space', 0);
    control.set('full', 1);
    try {
      await when('no write met the full disk', at.until, () => control.get('enospcHits') > before);
      await delay(FULL_DISK_MS);
    } finally {
      control.set('full', 0);
    }
    return { proof: `ENOSPC ${control.get('enospcHits') - before} times`, overMs: performance.now() };
  });
}

/** Only services write the log, where they write it to a disk of theirs. */
function failsLog({ system, fault }: Injection): boolean {
  return system.disks.includes('log') && fault.role === 'services' && fault.draw >= 0.5;
}

function fsyncError(at: Injection): Promise<Injected> {
  return withControl(at, async (control) => {
    const ofLog = failsLog(at);
    const before = control.get('eioHits');
    control.onlyPaths(ofLog ? '/log/' : '/blobs/');
    control.set('syncFailures', 1);
    await when('no fsync met the failing disk', at.until, () => control.get('eioHits') > before);
    // The log promises nothing after a failed fsync until it is opened again: its remedy says to start the process anew.
    if (ofLog) return { ...await killed(at, 1), proof: `EIO on fsync of the log, then started again` };
    return { proof: 'EIO on fsync of a blob', overMs: performance.now() };
  });
}

async function slowNetwork({ system, fault, until }: Injection): Promise<Injected> {
  const proxy = system.proxy(fault.role)!;
  const before = proxy.counts.delayedBytes;
  proxy.mode = { ...CLEAR, delayMs: 20 + 180 * fault.draw, bytesPerSecond: 1 << 20 };
  await when('nothing was sent over the slow network', until, () => proxy.counts.delayedBytes > before);
  await delay(SLOW_MS);
  proxy.mode = CLEAR;
  return { proof: `${proxy.counts.delayedBytes - before} bytes delayed`, overMs: performance.now() };
}

async function droppingNetwork({ system, fault, until }: Injection): Promise<Injected> {
  const proxy = system.proxy(fault.role)!;
  const before = proxy.counts.droppedBytes;
  proxy.mode = { ...CLEAR, drop: true };
  await when('nothing was sent over the broken network', until, () => proxy.counts.droppedBytes > before);
  await delay(HANG_MS * fault.draw);
  proxy.mode = CLEAR;
  proxy.reset();
  return { proof: `${proxy.counts.droppedBytes - before} bytes dropped, connections reset`, overMs: performance.now() };
}

/**
 * All connections of one process at once, until its work has gone to others; then it is back. Either its connections broke, or they held
 * and what it had sent arrives now.
 */
async function networkLoss({ system, oracle, fault, until }: Injection): Promise<Injected> {
  const links = system.links(fault.role);
  const pid = system.pid(fault.role) ?? 0;
  const breaks = fault.draw < 0.5;
  const kept = (): number => links.reduce((sum, { counts }) => sum + counts.droppedBytes + counts.heldBytes, 0);
  const before = kept();
  let late = 0;
  for (const link of links) link.mode = breaks ? { ...CLEAR, drop: true } : HELD;
  try {
    await when('nothing was sent over the lost network', until, () => kept() > before);
    await delay(HANG_MS);
    const others = oracle.facts().size;
    await when('nobody else went on', until, () => oracle.facts().size > others);
    late = oracle.unanswered(pid).length;
  } finally {
    for (const link of links) {
      link.mode = CLEAR;
      if (breaks) link.reset();
    }
  }
  const what = `${kept() - before} bytes ${breaks ? 'dropped, connections reset' : 'held back and delivered late'}`;
  return { proof: `${links.length} links: ${what}; others went on; ${late} appends of ${pid} unanswered until then`, overMs: performance.now() };
}

function skewed(at: Injection, skewNs: number): Promise<Injected> {
  return withControl(at, async (control) => {
    const before = control.get('skewHits');
    control.set('skewNs', skewNs);
    await when('nobody read the skewed clock', at.until, () => control.get('skewHits') > before);
    await delay(SLOW_MS);
    control.set('skewNs', 0);
    return { proof: `${control.get('skewHits') - before} readings skewed by ${skewNs > 0 ? '+' : '-'}1 day`, overMs: performance.now() };
  });
}

async function powerCut({ system }: Injection): Promise<Injected> {
  await system.killAll();
  const cut = cutPower(system.trial.shim, system.disks);
  await system.start();
  return { proof: `${cut.changed.length} of ${cut.filesBefore} files lost what was not synced`, overMs: performance.now() };
}

async function delivered({ system: { trial }, oracle, until }: Injection, shares: Shares, line: OracleLine['line']): Promise<Injected> {
  const seen = (): number => oracle.read().filter((each) => each.line === line).length;
  const before = seen();
  trial.deliver(shares);
  try {
    await when(`no ${line}`, until, () => seen() > before);
    await delay(DISTURBED_MS);
  } finally {
    trial.deliver({});
  }
  return { proof: `${line}: ${seen() - before} times`, overMs: performance.now() };
}
