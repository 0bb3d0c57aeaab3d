/** Settings as text, read one by one: what is wrong with them is collected, so that all of it is said at once. */

export type Environment = { readonly [name: string]: string | undefined };

/** Variables that only tests read. */
const TESTS_OWN = 'STEMMA_TEST_';

function isAddress(value: string): boolean {
  const port = Number(/^[^\s/:,]+:(\d{1,5})$/.exec(value)?.[1] ?? 0);
  return port >= 1 && port <= 65_535;
}

export class SettingReader {
  readonly problems: string[] = [];

  constructor(private readonly environment: Environment) {}

  text(name: string, fallback: string): string {
    const value = this.environment[name];
    return value === undefined || value === '' ? fallback : value;
  }

  integer(name: string, fallback: number, low: number, high: number): number {
    const value = this.text(name, String(fallback));
    const parsed = Number(value);
    if (/^\d+$/.test(value) && parsed >= low && parsed <= high) return parsed;
    this.problems.push(`${name}: expected an integer from ${low} to ${high}, got '${value}'`);
    return fallback;
  }

  choice<T extends string>(name: string, fallback: T, choices: readonly T[]): T {
    const value = this.text(name, fallback);
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    this.problems.push(`${name}: expected one of ${choices.join(', ')}, got '${value}'`);
    return fallback;
  }

  /** host:port, or '' if unset. */
  address(name: string): string {
    const value = this.text(name, '');
    if (value === '' || isAddress(value)) return value;
    this.problems.push(`${name}: expected host:port, got '${withoutCredentials(value)}'`);
    return '';
  }

  /** host:port[,host:port …], or '' if unset. */
  addresses(name: string): string {
    const value = this.text(name, '');
    if (value === '' || value.split(',').every(isAddress)) return value;
    this.problems.push(`${name}: expected host:port[,host:port …], got '${withoutCredentials(value)}'`);
    return '';
  }

  refuseUnknown(known: readonly string[]): void {
    for (const name of Object.keys(this.environment)) {
      if (name.startsWith('STEMMA_') && !name.startsWith(TESTS_OWN) && !known.includes(name)) this.problems.push(`${name}: unknown setting; known: ${known.join(', ')}`);
    }
  }
}

/** An address that somebody put a password into must not be printed with it. */
export function withoutCredentials(address: string): string {
  // To the last @: a password may hold any character, a slash and an @ too.
  return address.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1…@');
}
