/** Seeded numbers (mulberry32): the only dice of simulated schedules, drawn faults and a log made worse. */

/** u32 values of one seed, in order. */
export type Dice = () => number;

export function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** 0 ≤ x < 1 */
export function unit(dice: Dice): number {
  return dice() / 2 ** 32;
}
