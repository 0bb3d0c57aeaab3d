/** Where streams end, as the only process that writes them knows: who looks for news and is at the end is answered without a read. */

/** Of each of two generations, at some 100 bytes a stream. */
const KEPT = 100_000;

export class KnownEnds {
  private young = new Map<string, number>();
  private old: ReadonlyMap<string, number> = new Map();

  /** An event of the stream is durable at this position. */
  note(stream: string, position: number): void {
    if (position < (this.of(stream) ?? 0)) return;
    this.young.set(stream, position + 1);
    if (this.young.size < KEPT) return;
    this.old = this.young;
    this.young = new Map();
  }

  /** undefined: not known. */
  of(stream: string): number | undefined {
    return this.young.get(stream) ?? this.old.get(stream);
  }
}
