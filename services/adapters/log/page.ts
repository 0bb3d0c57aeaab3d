/** One page of a read or one batch of a tail: bounds memory and the time its thread is held. */
const PAGE_EVENTS = 1_000;
const PAGE_BYTES = 1024 * 1024;

export interface Row {
  readonly cursor: number;
  readonly position: number;
  readonly crc: number;
  readonly event: Uint8Array;
}

export interface Page {
  readonly rows: readonly Row[];
  /** There may be more. */
  readonly full: boolean;
}

export function pageFrom(found: Iterable<Row>): Page {
  const rows: Row[] = [];
  let bytes = 0;
  for (const row of found) {
    rows.push(row);
    bytes += row.event.length;
    if (rows.length === PAGE_EVENTS || bytes >= PAGE_BYTES) return { rows, full: true };
  }
  return { rows, full: false };
}
