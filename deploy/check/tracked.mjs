// Runs the text rules over every file that git tracks.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { textProblems } from './text.mjs';

const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' }).split('\0').filter((path) => path !== '' && existsSync(path));
const problems = tracked.flatMap((path) => {
  const bytes = readFileSync(path);
  return bytes.includes(0) ? [] : textProblems(path, bytes.toString('utf8'));
});
for (const problem of problems) console.log(problem);
process.exit(problems.length > 0 ? 1 : 0);
