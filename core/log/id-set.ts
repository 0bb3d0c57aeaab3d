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
    put(this.table, at);
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
      for (let part = 0; part < WORDS; part += 1) word[part] = this.table[at + part]!;
      put(table, this.find(table, slots));
    }
    this.table = table;
    this.slots = slots;
  }
}

/** The id that was parsed last. */
const word = new Uint32Array(WORDS);

/** `set` of a typed array costs more than its four words. */
function put(table: Uint32Array, at: number): void {
  table[at] = word[0]!;
  table[at + 1] = word[1]!;
  table[at + 2] = word[2]!;
  table[at + 3] = word[3]!;
}

/** Code of a character → the digit it is; beyond 15 for what is none. */
const NO_DIGIT = 0x10;
const DIGITS = Uint8Array.from({ length: 128 }, (_, code) => (/[0-9a-f]/.test(String.fromCharCode(code)) ? Number.parseInt(String.fromCharCode(code), 16) : NO_DIGIT));

/** False for what is no id, and for the one that looks like a free slot. */
function parse(id: string): boolean {
  if (id.length !== WORDS * 8) return false;
  let seen = 0;
  for (let at = 0; at < WORDS; at += 1) {
    let value = 0;
    for (let digit = at * 8; digit < at * 8 + 8; digit += 1) {
      const code = id.charCodeAt(digit);
      const part = code < 128 ? DIGITS[code]! : NO_DIGIT;
      seen |= part;
      value = (value << 4) | (part & 15);
    }
    word[at] = value;
  }
  return seen < NO_DIGIT && (word[0]! | word[1]! | word[2]! | word[3]!) !== 0;
}
