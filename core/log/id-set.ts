/**
 * A set of event ids that costs about 22 bytes an id and nothing on the heap: a worker holds hundreds of ids for each of up to 100,000
 * episodes, where a Set of strings is most of its memory and of what a collection has to walk.
 */
const WORDS = 4;
const FIRST_SLOTS = 16;

export class IdSet {
  private slots = FIRST_SLOTS;
  /** Open addressing, four words a slot; a slot of zeros is free. */
  private table = new Uint32Array(FIRST_SLOTS * WORDS);
  private used = 0;
  /** Ids of another form, as tests make them. */
  private others: Set<string> | undefined;

  has(id: string): boolean {
    if (!parse(id)) return this.others?.has(id) ?? false;
    return this.isTaken(this.find(this.table, this.slots));
  }

  /** False if it was there. */
  add(id: string): boolean {
    if (!parse(id)) {
      this.others ??= new Set();
      if (this.others.has(id)) return false;
      this.others.add(id);
      return true;
    }
    const at = this.find(this.table, this.slots);
    if (this.isTaken(at)) return false;
    this.table.set(word, at);
    this.used += 1;
    if (this.used * 5 > this.slots * 4) this.grow();
    return true;
  }

  private isTaken(at: number): boolean {
    const { table } = this;
    return (table[at]! | table[at + 1]! | table[at + 2]! | table[at + 3]!) !== 0;
  }

  /** Where the parsed id stands, or the free slot where it would. Ids are hashes: any of their words spreads them. */
  private find(table: Uint32Array, slots: number): number {
    const a = word[0]!;
    const b = word[1]!;
    const c = word[2]!;
    const d = word[3]!;
    for (let slot = a % slots; ; slot = slot + 1 === slots ? 0 : slot + 1) {
      const at = slot * WORDS;
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d) return at;
      if ((table[at]! | table[at + 1]! | table[at + 2]! | table[at + 3]!) === 0) return at;
    }
  }

  private grow(): void {
    const slots = this.slots + (this.slots >> 1);
    const table = new Uint32Array(slots * WORDS);
    for (let at = 0; at < this.table.length; at += WORDS) {
      if (!this.isTaken(at)) continue;
      word.set(this.table.subarray(at, at + WORDS));
      table.set(word, this.find(table, slots));
    }
    this.table = table;
    this.slots = slots;
  }
}

/** The id that was parsed last. */
const word = new Uint32Array(WORDS);

/** False for what is no id, and for the one that looks like a free slot. */
function parse(id: string): boolean {
  if (id.length !== WORDS * 8) return false;
  for (let at = 0; at < WORDS; at += 1) {
    let value = 0;
    for (let digit = at * 8; digit < at * 8 + 8; digit += 1) {
      const code = id.charCodeAt(digit);
      if (code >= 48 && code <= 57) value = (value << 4) | (code - 48);
      else if (code >= 97 && code <= 102) value = (value << 4) | (code - 87);
      else return false;
    }
    word[at] = value;
  }
  return (word[0]! | word[1]! | word[2]! | word[3]!) !== 0;
}
