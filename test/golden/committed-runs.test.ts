/** Runs written by every version that ever wrote one are read by this one: folded, audited, traced. Never delete a run from here. */
import { describe, expect, it } from 'vitest';
import { lineageOfWeights } from '../../core/projection/lineage.js';
import { progressOf } from '../../core/projection/progress.js';
import { runViewOf } from '../../core/projection/run-view.js';
import { auditRun } from '../../services/audit/audit-run.js';
import { eventId } from '../../services/runtime/event-id.js';
import { committedRun, committedRunNames } from '../support/committed-run.js';

describe.each(committedRunNames())('the committed run %s', (name) => {
  const committed = committedRun(name);
  const view = runViewOf(committed.events());

  it('has the progress it had', async () => {
    const { recipe } = await committed.manifest(view);
    const progress = progressOf(view, recipe.stages);
    expect({
      status: progress.status, recipe: progress.recipe, seed: progress.seed,
      stages: progress.stages.map(({ stage, status, step, episodes }) => ({ stage, status, step, requested: episodes.requested, owed: episodes.owed, generatedTokens: episodes.generatedTokens })),
      end: view.run.end, forked: view.run.forked, amendments: view.run.amendments,
    }).toMatchSnapshot();
  });

  it('passes the audit, but for the weights that are not committed', async () => {
    const { findings } = await auditRun(committed.blobs, view, await committed.manifest(view));
    expect(findings.filter(({ what }) => !/^the (result|parent weights|snapshot|weights|manifest's baseWeights)[^:]*: blob \w+ is missing$/.test(what))).toEqual([]);
  });

  it('has a lineage down to its base weights', async () => {
    const { baseWeightsHash, recipe } = await committed.manifest(view);
    const lineage = lineageOfWeights(view, view.run.end?.status === 'finished' ? view.run.end.weightsHash : '');
    expect(lineage?.baseWeightsHash).toBe(baseWeightsHash);
    expect(lineage?.stages.map(({ stage }) => stage)).toEqual([recipe.stages.at(-1)?.id, recipe.stages.at(-1)?.init]);
    expect(lineage?.stages[0]?.teachers.map(({ domain, madeBy }) => `${domain}: ${madeBy?.stage}`).sort())
      .toEqual(Object.entries(recipe.teachers).map(([domain, stage]) => `${domain}: ${stage}`).sort());
  });

  it('has the ids that its facts hash to', () => {
    for (const { event } of committed.events()) expect(event.payload && eventId(event.stream, event.payload, event.claim)).toBe(event.id);
  });
});
