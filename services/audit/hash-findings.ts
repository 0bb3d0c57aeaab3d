/** The audit's part that hashes: names that are hashes of what they name. */
import { runFinding, stageFinding, type Finding } from '../../core/projection/finding.js';
import type { RunView } from '../../core/projection/run-view.js';
import { canonicalJson, sha256Hex } from '../runtime/canonical-json.js';
import type { Manifest } from '../runtime/run-context.js';
import { batchIdOf } from '../training/learn-step.js';

export function hashFindings(view: RunView, { recipe }: Pick<Manifest, 'recipe'>): Finding[] {
  return [
    ...(view.run.created?.settingsHash === sha256Hex(canonicalJson(recipe)) ? [] : [runFinding('runCreated run', 'the run\'s settings hash is not that of the recipe in its manifest')]),
    ...[...view.run.stages].flatMap(([id, { started }]) => {
      const stage = recipe.stages.find((each) => each.id === id);
      if (stage === undefined) return [runFinding(`stageStarted ${id}`, `stage ${id} was started and is not in the recipe`)];
      return started.settingsHash === sha256Hex(canonicalJson(stage)) ? [] : [runFinding(`stageStarted ${id}`, `the settings hash of stage ${id} is not that of its recipe`)];
    }),
    ...[...view.stages].flatMap(([stage, { closed }]) => closed.flatMap((batch) => {
      const wrong = [
        ...(batch.batchId === batchIdOf(stage, batch.step, batch.batch?.sha256 ?? '') ? [] : ['its id is not the hash of stage, step and batch']),
        ...(batch.settingsHash === sha256Hex(batch.settingsJson) ? [] : ['its settings hash is not that of its settings']),
      ];
      return wrong.map((why) => stageFinding(stage, `batchClosed ${batch.step}`, `the batch of step ${batch.step} of ${stage}: ${why}`));
    })),
  ];
}
