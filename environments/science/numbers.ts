/** Numbers are spelled digit by digit, one token a digit: 180 is "1 8 0". */

export function spellNumber(value: number): string {
  return [...String(value)].join(' ');
}
