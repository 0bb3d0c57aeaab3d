/**
 * Packing: which samples share a row. First fit in the order given, so that the plan is a function of
 * the batch alone; it is recorded with the batch, which makes the sums of a replay exact.
 */

/**
 * Rows of sample indices, each of at most `rowTokens` tokens; a longer sample has a row of its own.
 * Every sample is in exactly one row, rows are in order of their first sample.
 */
export function planRows(lengths: readonly number[], rowTokens: number): number[][] {
  const rows: { samples: number[]; free: number }[] = [];
  lengths.forEach((length, sample) => {
    const row = rows.find((candidate) => candidate.free >= length);
    if (row === undefined) rows.push({ samples: [sample], free: rowTokens - length });
    else {
      row.samples.push(sample);
      row.free -= length;
    }
  });
  return rows.map((row) => row.samples);
}
