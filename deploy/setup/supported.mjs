// Ends the process with one message where Stemma does not run. Called before files are imported that an old Node cannot read.
import { nodeVersionProblem, platformProblem } from './versions.mjs';

export function needNode() {
  endFor(nodeVersionProblem(process.versions.node));
}

/** The Node, and an operating system that Stemma's parts run on. */
export function needMachine() {
  endFor(nodeVersionProblem(process.versions.node) ?? platformProblem(process.platform));
}

/** @param {string | null} problem */
function endFor(problem) {
  if (problem === null) return;
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}
