import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { Event } from '../../../../../proto/gen/stemma/v1/events.js';
import { encodeAppend, groupOf } from '../../../../../services/adapters/log/embedded-group.js';
import { newEvent } from '../../../../../services/runtime/new-event.js';
import { EPISODE, RUN, turn, turnEvent } from '../../../../support/log-events.js';

/** With the bare one: lengths whose varints have one byte, two, three and four. */
const events = [8, 200, 30_000, 2_200_000, 9].map((bytes, number) => newEvent({ stream: EPISODE, run: RUN, claim: 'c', seq: number + 1 }, turn(number, '', bytes)));
const bare = Event.fromPartial({ id: '0'.repeat(32), stream: 's' });

it('holds each event as it is encoded alone, with its checksum', () => {
  const all = [bare, ...events];
  const { bytes, starts, lengths, crcs } = encodeAppend(all);
  all.forEach((event, index) => {
    const alone = Event.encode(event).finish();
    expect(lengths[index]).toBe(alone.length);
    expect(Buffer.compare(bytes.subarray(starts[index], starts[index]! + alone.length), alone)).toBe(0);
    expect(crcs[index]).toBe(crc32(alone));
  });
  expect(lengths[0]).toBeLessThan(128);
});

it('puts appends behind each other, each stream named once', () => {
  const other = `${EPISODE}0`;
  const appends = [[turnEvent(EPISODE, 'c', 0), turnEvent(other, 'c', 0)], [turnEvent(other, 'c', 1)], [turnEvent(EPISODE, 'c', 1)]];
  const group = groupOf(appends.map(encodeAppend));
  expect([...group.counts]).toEqual([2, 1, 1]);
  expect(group.streams).toEqual([EPISODE, other]);
  expect([...group.streamOf]).toEqual([0, 1, 1, 0]);
  appends.flat().forEach((event, index) => {
    const bytes = group.bytes.subarray(group.starts[index], group.starts[index]! + group.lengths[index]!);
    expect(Event.decode(bytes)).toEqual(event);
    expect(group.crcs[index]).toBe(crc32(bytes));
    expect(Buffer.from(group.ids.subarray(16 * index, 16 * index + 16)).toString('hex')).toBe(event.id);
  });
});

it('gives the only append away as it is', () => {
  const only = encodeAppend(events);
  expect(groupOf([only]).bytes).toBe(only.bytes);
});
