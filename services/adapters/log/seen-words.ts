/**
 * At which positions of a stream an id may stand, by a word of it: to be compared with the event there. Outside the heap.
 *
 *   a short stream   16 bits an event in stream order; of new ids in a stream of 200 events 1 in 330 is looked up for nothing
 *   a long one       a hash table of whole words, 13 to 20 bytes an event: a search of the list would cost what the stream is long
 */
export interface SeenWords {
  /** The word of the next position. */
  add(word: number): void;
  candidates(word: number): readonly number[];
  readonly bytes: number;
}

const NONE: readonly number[] = [];
const FIRST_LIST = 32;

export class ShortSeen implements SeenWords {
  private count = 0;
  private list = new Uint16Array(FIRST_LIST);

  get bytes(): number {
    return this.list.byteLength;
  }

  add(word: number): void {
    if (this.count === this.list.length) {
      const list = new Uint16Array(this.count + Math.max(FIRST_LIST, this.count >> 2));
      list.set(this.list);
      this.list = list;
    }
    this.list[this.count] = word;
    this.count += 1;
  }

  candidates(word: number): readonly number[] {
    const part = word & 0xffff;
    let at = this.list.indexOf(part);
    if (at < 0 || at >= this.count) return NONE;
    const found: number[] = [];
    for (; at >= 0 && at < this.count; at = this.list.indexOf(part, at + 1)) found.push(at);
    return found;
  }
}

/** Open addressing, two words a slot: the word, and its position + 1; a slot without a position is free. */
const SLOT = 2;
const FIRST_SLOTS = 1024;

export class LongSeen implements SeenWords {
  private count = 0;
  private slots = FIRST_SLOTS;
  private table = new Uint32Array(FIRST_SLOTS * SLOT);

  get bytes(): number {
    return this.table.byteLength;
  }

  add(word: number): void {
    if (this.count * 5 > this.slots * 3) this.grow();
    this.count += 1;
    put(this.table, this.slots, word, this.count);
  }

  candidates(word: number): readonly number[] {
    const { table, slots } = this;
    let found: number[] | undefined;
    for (let slot = word % slots; table[slot * SLOT + 1] !== 0; slot = slot + 1 === slots ? 0 : slot + 1) {
      if (table[slot * SLOT] === word) (found ??= []).push(table[slot * SLOT + 1]! - 1);
    }
    return found ?? NONE;
  }

  private grow(): void {
    const slots = this.slots + (this.slots >> 1);
    const table = new Uint32Array(slots * SLOT);
    for (let at = 0; at < this.table.length; at += SLOT) {
      if (this.table[at + 1] !== 0) put(table, slots, this.table[at]!, this.table[at + 1]!);
    }
    this.table = table;
    this.slots = slots;
  }
}

function put(table: Uint32Array, slots: number, word: number, number: number): void {
  let slot = word % slots;
  while (table[slot * SLOT + 1] !== 0) slot = slot + 1 === slots ? 0 : slot + 1;
  table[slot * SLOT] = word;
  table[slot * SLOT + 1] = number;
}
