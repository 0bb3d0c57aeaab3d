/** Device, threads and libraries: where they are the same, a step recomputes to the same bits. */
import { canonicalJson } from './canonical-json.js';

export interface Fingerprints {
  readonly same: boolean;
  /** For people, as JSON. */
  readonly here: string;
  readonly recorded: string;
}

/** `recorded`: as a manifest has it. */
export function compareFingerprints(hereJson: string, recorded: unknown): Fingerprints {
  const found = { here: canonicalJson(JSON.parse(hereJson)), recorded: canonicalJson(recorded) };
  return { ...found, same: found.here === found.recorded };
}
