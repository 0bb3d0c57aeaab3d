/** Trajectories as one JSON object a line. */
import { open } from 'node:fs/promises';
import type { TrajectoryRow } from './trajectories.js';

/** Returns how many rows were written. */
export async function writeJsonl(file: string, batches: AsyncIterable<readonly TrajectoryRow[]>): Promise<number> {
  const handle = await open(file, 'w');
  let written = 0;
  try {
    for await (const rows of batches) {
      for (const row of rows) await handle.write(`${JSON.stringify(row)}\n`);
      written += rows.length;
    }
  } finally {
    await handle.close();
  }
  return written;
}
