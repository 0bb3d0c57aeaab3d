/** Scores of finished episodes, asked of the teacher-scoring service. */
import { StemmaError } from '../../core/errors.js';
import { unpackF32, unpackU32 } from '../../core/log/bytes.js';
import type { BlobStore } from '../../core/ports.js';
import { ScoreTable, type ScoreRow } from '../../proto/gen/stemma/v1/data.js';
import type { EpisodeScored } from '../../proto/gen/stemma/v1/events.js';

export interface ScoringRequest {
  readonly run: string;
  readonly stage: string;
  readonly purpose: 'teacher' | 'reference';
  readonly episodes: readonly string[];
  /** Whose settings hold. */
  readonly step: number;
  /** Of `parts` that the chunks of these episodes are dealt into; absent: all of them. */
  readonly part?: number;
  readonly parts?: number;
}

export interface EpisodeScoring {
  readonly episode: string;
  readonly scored?: EpisodeScored;
  /** Set where scoring was exhausted. */
  readonly failure?: string;
}

export interface TeacherScoring {
  scoreEpisodes(request: ScoringRequest): Promise<readonly EpisodeScoring[]>;
}

/** Reads rows of score tables, each table once. */
export function scoreRows(blobs: BlobStore): (scored: EpisodeScored) => Promise<ScoreRow> {
  const tables = new Map<string, Promise<ScoreTable>>();
  return async (scored) => {
    if (!scored.scores) throw new StemmaError('scorer', 'CORRUPT', 'a score names no blob', 'The episode stream is damaged.');
    const known = tables.get(scored.scores.sha256) ?? blobs.get(scored.scores).then((bytes) => ScoreTable.decode(bytes));
    tables.set(scored.scores.sha256, known);
    const row = (await known).rows[scored.row];
    if (!row) throw new StemmaError('scorer', 'CORRUPT', `score table ${scored.scores.sha256} has no row ${scored.row}`, 'The blob or the event is damaged.');
    return row;
  };
}

/** [L]: given-token log-probabilities at their positions, 0 elsewhere. */
export function alignGivenLogprobs(row: ScoreRow, length: number): Float32Array {
  const aligned = new Float32Array(length);
  const values = unpackF32(row.givenLogprobs);
  unpackU32(row.positions).forEach((position, i) => {
    aligned[position] = values[i] ?? 0;
  });
  return aligned;
}
