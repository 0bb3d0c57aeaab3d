/** A real run's trajectories in both formats: the same rows, and the tokens that the log has. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unpackF32, unpackU32 } from '../../../../core/log/bytes.js';
import { writeJsonl } from '../../../../services/export/jsonl.js';
import { writeParquet } from '../../../../services/export/parquet.js';
import { trajectoryRows, type TrajectoryRow } from '../../../../services/export/trajectories.js';
import { createRunContexts } from '../../../../services/runtime/run-context.js';
import { committedRun, memoryLogs } from '../../../support/committed-run.js';

const RUN = 'micro-s1-1-f1';
const committed = committedRun('v1');
const folder = mkdtempSync(join(tmpdir(), 'stemma-export-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let lines: TrajectoryRow[];
beforeAll(async () => {
  const context = await createRunContexts(memoryLogs(RUN, committed.events()), committed.blobs, 'read').get(RUN);
  await writeJsonl(join(folder, 't.jsonl'), trajectoryRows(context));
  expect(await writeParquet(join(folder, 't.parquet'), trajectoryRows(context))).toBe(328);
  lines = readFileSync(join(folder, 't.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as TrajectoryRow);
});

describe('exported trajectories', () => {
  it('are the ended episodes, each once', () => {
    const ended = committed.events().flatMap(({ event }) => (event.payload?.$case === 'episodeEnded' ? [event.stream.split('/')[2]] : []));
    expect(lines.map(({ episode }) => episode).sort()).toEqual(ended.sort());
  });

  it('carry the tokens and log-probabilities that were sampled, masked', () => {
    const sampled = new Map<string, { tokens: number[]; logprobs: number[] }>();
    for (const { event: { stream, payload } } of committed.events()) {
      if (payload?.$case !== 'turnSampled') continue;
      const of = sampled.get(stream) ?? { tokens: [], logprobs: [] };
      sampled.set(stream, { tokens: [...of.tokens, ...unpackU32(payload.value.tokens)], logprobs: [...of.logprobs, ...unpackF32(payload.value.logprobs)] });
    }
    for (const row of lines) {
      const generated = <T>(values: readonly T[]): T[] => values.filter((_, i) => row.completion_mask[i] === 1);
      const of = sampled.get(`episode/${RUN}/${row.episode}`);
      expect(generated(row.completion_ids)).toEqual(of?.tokens);
      expect(generated(row.completion_logprobs)).toEqual(of?.logprobs);
      expect(row.prompt[0]?.content).not.toBe('');
    }
  });

  it('say who sampled, who taught and what became of them', () => {
    const distilled = lines.filter(({ stage, purpose }) => stage === 'distill' && purpose === 'train');
    expect(new Set(distilled.map(({ domain, teacher_weights_hash }) => `${domain} ${teacher_weights_hash}`)).size).toBe(4);
    expect(distilled.every(({ batch_step, step }) => batch_step === step)).toBe(true);
    expect(lines.filter(({ purpose }) => purpose === 'evaluate').every(({ batch_step, advantage }) => batch_step === null && advantage === null)).toBe(true);
    expect(lines.some(({ dropped_reason }) => dropped_reason === 'incorrect')).toBe(true);
  });

  it('are the same rows as Parquet', async () => {
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(join(folder, 't.parquet')) });
    expect(rows).toEqual(lines);
  });
});
