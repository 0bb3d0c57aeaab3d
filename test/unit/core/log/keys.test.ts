import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { episodeStream, naturalKey, roleOf, runStream, stageStream, streamKindOf, type Payload } from '../../../../core/log/keys.js';
import * as events from '../../../../proto/gen/stemma/v1/events.js';

const PROTO = readFileSync(new URL('../../../../proto/stemma/v1/events.proto', import.meta.url), 'utf8');
const TABLE = readFileSync(new URL('../../../../docs/events.md', import.meta.url), 'utf8');

interface Documented {
  readonly payload: string;
  readonly stream: string;
  readonly role: string;
}

function documented(): Documented[] {
  const rows = TABLE.slice(TABLE.indexOf('| payload |')).split('\n').slice(2);
  return rows.slice(0, rows.findIndex((row) => !row.startsWith('|'))).flatMap((row) => {
    const [payloads, stream, , role] = row.split('|').slice(1).map((cell) => cell.trim());
    return payloads!.split(', ').map((payload) => ({ payload, stream: stream!, role: role! }));
  });
}

function payloadsOfProto(): string[] {
  const oneof = PROTO.slice(PROTO.indexOf('oneof payload'), PROTO.indexOf('// A role on this stream'));
  return [...oneof.matchAll(/^ {4}([A-Z]\w+) \w+ = \d+;/gm)].map((match) => match[1]!);
}

function emptyPayload(name: string): Payload {
  const message = (events as unknown as Record<string, { fromPartial(value: object): Payload['value'] }>)[name]!;
  return { $case: name[0]!.toLowerCase() + name.slice(1), value: message.fromPartial({}) } as Payload;
}

describe('docs/events.md', () => {
  it('has one row for every payload of events.proto', () => {
    expect(documented().map((row) => row.payload).sort()).toEqual(payloadsOfProto().sort());
  });

  it.each(documented())('$payload: stream $stream, role $role', ({ payload, stream, role }) => {
    expect(streamKindOf(emptyPayload(payload)) ?? 'any').toBe(stream);
    expect(roleOf(emptyPayload(payload)) ?? '–').toBe(role);
    expect(typeof naturalKey(emptyPayload(payload))).toBe('string');
  });
});

describe('natural keys', () => {
  it('tell facts of one type apart', () => {
    const scored = (purpose: string, scorerWeightsHash: string): Payload =>
      ({ $case: 'episodeScored', value: { purpose, scorerWeightsHash, topK: 0, scores: undefined, row: 0 } });
    expect(naturalKey(scored('teacher', 'w1'))).not.toBe(naturalKey(scored('reference', 'w1')));
    expect(naturalKey({ $case: 'attemptAborted', value: { attempt: 2, reason: '' } })).toBe('2');
    expect(naturalKey({ $case: 'runPaused', value: { updateId: 'u1', by: 'me', origin: '' } })).toBe('u1');
  });

  it('refuse a payload that this version does not know', () => {
    expect(() => naturalKey({ $case: 'tomorrow', value: {} } as unknown as Payload)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  });

  it('name streams', () => {
    expect([runStream('r'), stageStream('r', 's'), episodeStream('r', 'e')]).toEqual(['run/r', 'stage/r/s', 'episode/r/e']);
  });
});
