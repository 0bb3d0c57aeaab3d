/** Where a command writes: results to stdout, everything about getting there to stderr. */
export interface Terminal {
  /** stderr is a terminal whose lines can be rewritten. */
  readonly isTty: boolean;
  /** Width of stderr in characters. */
  columns(): number;
  /** stdout, a newline added. */
  print(line: string): void;
  /** stderr, a newline added. */
  say(line: string): void;
  /** stderr, as it is: for lines that are rewritten. */
  paint(text: string): void;
}

export function processTerminal(): Terminal {
  const isTty = process.stderr.isTTY === true;
  return {
    isTty,
    columns: () => process.stderr.columns ?? 80,
    print: (line) => void process.stdout.write(`${line}\n`),
    say: (line) => void process.stderr.write(`${line}\n`),
    paint: (text) => void process.stderr.write(text),
  };
}
