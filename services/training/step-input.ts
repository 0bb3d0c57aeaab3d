import type { StepInput, TrainerState } from '../../core/ports.js';
import type { RecordedBatch } from '../../core/stage/stage.js';
import { StepSettings } from '../../proto/gen/stemma/v1/data.js';
import type { BlobRef } from '../../proto/gen/stemma/v1/events.js';

/** A step as the log says it: taken the first time, recovered and replayed from the same fact. */
export function stepInput({ stateHash }: TrainerState, closed: RecordedBatch, batch: BlobRef): StepInput {
  const { batchId, settingsJson, settingsHash } = closed;
  return { parentStateHash: stateHash, batchId, batch, settings: StepSettings.fromJSON(JSON.parse(settingsJson)), settingsHash };
}
