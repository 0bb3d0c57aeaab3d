/** A small run written by hand as events: SFT on a sealed dataset, one search teacher, one distilled student, one evaluation. */
import { roleOf } from '../../../../core/log/keys.js';
import type { Payload } from '../../../../core/log/keys.js';
import type { StoredEvent } from '../../../../core/ports.js';
import { Event } from '../../../../proto/gen/stemma/v1/events.js';
import type { DeepPartial } from '../../../../proto/gen/stemma/v1/events.js';

export type Said = DeepPartial<Event>['payload'];

/** Appends events to streams in the order told; every stream's roles are claimed at first use. */
export class Story {
  readonly events: StoredEvent[] = [];
  private readonly claims = new Map<string, string>();
  private readonly seqs = new Map<string, number>();
  private readonly lengths = new Map<string, number>();

  tell(stream: string, ...said: Said[]): this {
    for (const payload of said) {
      const role = roleOf(Event.fromPartial({ payload }).payload as Payload);
      if (role !== null && !this.claims.has(`${stream} ${role}`)) this.claim(stream, role, `${role}-1`);
      this.write(stream, payload, role === null ? '' : (this.claims.get(`${stream} ${role}`) as string));
    }
    return this;
  }

  claim(stream: string, role: string, claimId: string): this {
    this.claims.set(`${stream} ${role}`, claimId);
    return this.write(stream, { $case: 'claimed', value: { role, claimId, holder: 'test' } }, '');
  }

  /** Under a given claim, current or not. */
  write(stream: string, payload: Said, claim: string): this {
    const key = `${stream} ${claim}`;
    const seq = claim === '' ? 0 : (this.seqs.get(key) ?? 0) + 1;
    this.seqs.set(key, seq);
    const position = this.lengths.get(stream) ?? 0;
    this.lengths.set(stream, position + 1);
    this.events.push({ position, event: Event.fromPartial({ id: `${stream}@${position}`, stream, claim, seq, payload }) });
    return this;
  }

  /** Leaves out the events for which `drop` says so: what a log looks like that lost them before they were acknowledged. */
  without(drop: (payload: Payload, stream: string) => boolean): Story {
    const result = new Story();
    for (const { event } of this.events) {
      const payload = event.payload as Payload;
      if (payload.$case !== 'claimed' && !drop(payload, event.stream)) result.tell(event.stream, payload);
    }
    return result;
  }
}

export const RUN = 'run/r';
export const stage = (id: string) => `stage/r/${id}`;
export const episode = (id: string) => `episode/r/${id}`;

const weights = (hash: string) => ({ weightsHash: hash, stateHash: `s:${hash}` });

export function started(id: string, kind: string, parent: string): Said {
  return { $case: 'stageStarted', value: { stage: id, kind, parent: weights(parent) } };
}

export function finished(id: string, hash: string, steps: number): Said {
  return { $case: 'stageFinished', value: { stage: id, result: weights(hash), steps } };
}

interface Ask {
  readonly step: number;
  readonly purpose: 'train' | 'evaluate' | 'dataset';
  readonly weightsHash: string;
  readonly episodes: readonly string[];
  readonly domain?: string;
  readonly round?: number;
}

/** Two samples of each task, in the order given. */
export function requested({ step, purpose, weightsHash, episodes, domain = 'search', round = 0 }: Ask): Said {
  return {
    $case: 'episodesRequested',
    value: { step, round, purpose, weightsHash, episodes: episodes.map((id, i) => ({ episode: id, domain, task: `task-${Math.floor(i / 2)}`, sample: i % 2 })) },
  };
}

export function ended(status: string, reward = 0, attempt = 1): Said {
  return { $case: 'episodeEnded', value: { attempt, status, reward, correct: reward > 0.5, turns: 1, generatedTokens: 10 } };
}

export function closed(step: number, members: readonly string[], teachers: { [domain: string]: string } = {}): Said {
  return {
    $case: 'batchClosed',
    value: {
      step, batchId: `b${step}`, batch: { sha256: `blob-${step}`, length: 1n }, teacherWeightsHashes: teachers,
      members: members.map((member) => ({ member, pass: 0, domain: 'search', reward: 1, advantage: 0.5, trainableTokens: 10 })),
    },
  };
}

interface Commit {
  readonly step: number;
  readonly parent: string;
  readonly hash: string;
  readonly stats?: readonly { name: string; sum: number; count: number }[];
}

export function committed({ step, parent, hash, stats = [] }: Commit): Said {
  return {
    $case: 'stepCommitted',
    value: {
      step, batchId: `b${step}`, parentStateHash: `s:${parent}`, stateHash: `s:${hash}`, weightsHash: hash, stats: [...stats],
      spent: { wallSeconds: 2, computeSeconds: 1, waitingSeconds: 0.5 },
    },
  };
}

export function dropped(id: string, reason: string): Said {
  return { $case: 'episodeDropped', value: { episode: id, reason } };
}

/** base → sft (w-sft2) → search teacher (w-rl1) and student (w-st1, taught by w-rl1). */
export function wholeRun(): Story {
  const story = new Story();
  story.tell(RUN, { $case: 'runCreated', value: { run: 'r', recipe: 'micro', seed: 7n } }, started('sft', 'sft', 'w-base'));
  story.tell(stage('sft'),
    { $case: 'datasetSealed', value: { dataset: 'training', rows: 4 } },
    closed(1, ['training#0', 'training#1']), committed({ step: 1, parent: 'w-base', hash: 'w-sft1', stats: [{ name: 'loss', sum: 8, count: 4 }] }),
    closed(2, ['training#2', 'training#3']), committed({ step: 2, parent: 'w-sft1', hash: 'w-sft2', stats: [{ name: 'loss', sum: 2, count: 4 }] }));
  story.tell(RUN, finished('sft', 'w-sft2', 2), started('teacher', 'rl', 'w-sft2'));
  tellTeacher(story);
  story.tell(RUN, finished('teacher', 'w-rl1', 1), started('student', 'distill', 'w-sft2'));
  tellStudent(story);
  story.tell(RUN, { $case: 'runFinished', value: { weightsHash: 'w-st1' } });
  return story;
}

function tellTeacher(story: Story): void {
  story.tell(stage('teacher'), requested({ step: 1, purpose: 'train', weightsHash: 'w-sft2', episodes: ['t0', 't1', 't2', 't3', 't4', 't5'] }));
  const ends = { t0: ended('completed', 1), t1: ended('truncated', 0), t2: ended('completed', 1), t3: ended('completed', 1), t4: ended('failed'), t5: ended('completed') };
  for (const [id, end] of Object.entries(ends)) {
    story.tell(episode(id), { $case: 'attemptStarted', value: { attempt: 1 } }, { $case: 'turnSampled', value: { attempt: 1, tokens: new Uint8Array(8) } }, end);
  }
  story.tell(stage('teacher'),
    dropped('t2', 'uniform-group'), dropped('t3', 'uniform-group'), dropped('t5', 'too-few-valid'),
    closed(1, ['t0', 't1']),
    committed({ step: 1, parent: 'w-sft2', hash: 'w-rl1', stats: [{ name: 'reward', sum: 3, count: 5 }, { name: 'loss', sum: 1, count: 2 }] }));
}

function tellStudent(story: Story): void {
  story.tell(stage('student'), requested({ step: 1, purpose: 'train', weightsHash: 'w-sft2', episodes: ['d0', 'd1', 'd2'] }));
  for (const id of ['d0', 'd1', 'd2']) {
    const score: Said = id === 'd2'
      ? { $case: 'scoreFailed', value: { purpose: 'teacher', scorerWeightsHash: 'w-rl1', reason: 'exhausted' } }
      : { $case: 'episodeScored', value: { purpose: 'teacher', scorerWeightsHash: 'w-rl1', topK: 8 } };
    story.tell(episode(id), { $case: 'attemptStarted', value: { attempt: 1 } }, ended('completed', 1), score);
  }
  story.tell(stage('student'), closed(1, ['d0', 'd1'], { search: 'w-rl1' }),
    committed({ step: 1, parent: 'w-sft2', hash: 'w-st1', stats: [{ name: 'coverage.search', sum: 9, count: 10 }, { name: 'reward', sum: 2, count: 2 }] }));
  story.tell(RUN, finished('student', 'w-st1', 1));
  story.tell(stage('student'), requested({ step: 2, purpose: 'evaluate', weightsHash: 'w-st1', episodes: ['e0', 'e1'] }));
  story.tell(episode('e0'), { $case: 'attemptStarted', value: { attempt: 1 } }, ended('completed', 1));
  story.tell(episode('e1'), { $case: 'attemptStarted', value: { attempt: 1 } }, ended('completed', 0));
  story.tell(RUN, {
    $case: 'evaluationFinished',
    value: { stage: 'student', weightsHash: 'w-st1', accuracy: [{ domain: 'search', correct: 1, total: 2 }], spent: { wallSeconds: 1, computeSeconds: 1, waitingSeconds: 0 } },
  });
}
