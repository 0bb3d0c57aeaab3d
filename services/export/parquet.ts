/** Trajectories as one Parquet file: a row group at a time, so memory does not grow with the run. The only importer of hyparquet-writer. */
import { ParquetWriter, fileWriter } from 'hyparquet-writer';
import type { SchemaElement } from 'hyparquet';
import type { TrajectoryRow } from './trajectories.js';

/** Rows of one row group. */
const GROUP_ROWS = 512;

type Column = { readonly [C in keyof TrajectoryRow]: readonly SchemaElement[] };

const text = (name: string, repetition_type: 'REQUIRED' | 'OPTIONAL' = 'REQUIRED'): SchemaElement[] => [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type }];
const int32 = (name: string, repetition_type: 'REQUIRED' | 'OPTIONAL' = 'REQUIRED'): SchemaElement[] => [{ name, type: 'INT32', repetition_type }];
const double = (name: string, repetition_type: 'REQUIRED' | 'OPTIONAL' = 'REQUIRED'): SchemaElement[] => [{ name, type: 'DOUBLE', repetition_type }];
const list = (name: string, ...element: SchemaElement[]): SchemaElement[] => [
  { name, converted_type: 'LIST', repetition_type: 'REQUIRED', num_children: 1 }, { name: 'list', repetition_type: 'REPEATED', num_children: 1 }, ...element,
];

const COLUMNS: Column = {
  run: text('run'), stage: text('stage'), step: int32('step'), round: int32('round'), purpose: text('purpose'),
  episode: text('episode'), domain: text('domain'), task: text('task'), sample: int32('sample'),
  prompt: list('prompt', { name: 'element', repetition_type: 'REQUIRED', num_children: 2 }, ...text('role'), ...text('content')),
  completion: text('completion'),
  prompt_ids: list('prompt_ids', ...int32('element')), completion_ids: list('completion_ids', ...int32('element')),
  completion_mask: list('completion_mask', ...int32('element')), completion_logprobs: list('completion_logprobs', { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' }),
  turns: int32('turns'), status: text('status'), correct: [{ name: 'correct', type: 'BOOLEAN', repetition_type: 'REQUIRED' }], reward: double('reward'),
  reward_components: [{ name: 'reward_components', type: 'BYTE_ARRAY', converted_type: 'JSON', repetition_type: 'REQUIRED' }],
  batch_step: int32('batch_step', 'OPTIONAL'), advantage: double('advantage', 'OPTIONAL'), dropped_reason: text('dropped_reason', 'OPTIONAL'),
  policy_weights_hash: text('policy_weights_hash'), teacher_weights_hash: text('teacher_weights_hash', 'OPTIONAL'), seed: text('seed'),
};
const NAMES = Object.keys(COLUMNS) as (keyof TrajectoryRow)[];

/** Returns how many rows were written. Writes beside the file; whoever names it renames it when it is whole. */
export async function writeParquet(file: string, batches: AsyncIterable<readonly TrajectoryRow[]>): Promise<number> {
  const schema: SchemaElement[] = [{ name: 'root', num_children: NAMES.length }, ...NAMES.flatMap((name) => COLUMNS[name])];
  const parquet = new ParquetWriter({ writer: fileWriter(file), schema, codec: 'SNAPPY', createdBy: 'stemma' });
  let written = 0;
  let held: TrajectoryRow[] = [];
  const flush = async (): Promise<void> => {
    if (held.length === 0) return;
    await parquet.write({ columnData: NAMES.map((name) => ({ name, data: held.map((row) => row[name]) })), rowGroupSize: GROUP_ROWS });
    written += held.length;
    held = [];
  };
  for await (const rows of batches) {
    held.push(...rows);
    if (held.length >= GROUP_ROWS) await flush();
  }
  await flush();
  await parquet.finish();
  return written;
}
