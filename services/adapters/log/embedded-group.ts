/** From events to what the writer's thread is sent: encoded one behind the other into one buffer an append, for a buffer an event is what costs. */
import { crc32 } from 'node:zlib';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Event } from '../../../proto/gen/stemma/v1/events.js';
import { ID_BYTES, type CommitGroup } from './embedded-protocol.js';

export interface EncodedAppend {
  readonly events: readonly Event[];
  /** Each event behind its length as a varint. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each event's own bytes begin and how many they are. */
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
  readonly crcs: Uint32Array;
}

export function encodeAppend(events: readonly Event[]): EncodedAppend {
  const wire = new BinaryWriter();
  for (const event of events) Event.encode(event, wire.fork()).join();
  const bytes = wire.finish();
  const [starts, lengths, crcs] = [new Uint32Array(events.length), new Uint32Array(events.length), new Uint32Array(events.length)];
  let at = 0;
  for (let index = 0; index < events.length; index += 1) {
    let length = 0;
    for (let scale = 1, more = true; more; scale *= 128) {
      const byte = bytes[at++]!;
      length += (byte & 0x7f) * scale;
      more = byte > 0x7f;
    }
    starts[index] = at;
    lengths[index] = length;
    at += length;
    crcs[index] = crc32(bytes.subarray(starts[index], at));
  }
  return { events, bytes, starts, lengths, crcs };
}

/** Its buffer may be that of the only append: it is given away with the message. */
export function groupOf(appends: readonly EncodedAppend[]): CommitGroup {
  const count = appends.reduce((sum, { events }) => sum + events.length, 0);
  const ids = Buffer.alloc(count * ID_BYTES);
  const [starts, lengths, crcs, streamOf] = [new Uint32Array(count), new Uint32Array(count), new Uint32Array(count), new Uint32Array(count)];
  const streams = new Map<string, number>();
  const bytes = appends.length === 1 ? appends[0]!.bytes : new Uint8Array(appends.reduce((sum, append) => sum + append.bytes.length, 0));
  let [at, offset] = [0, 0];
  for (const append of appends) {
    if (append.bytes !== bytes) bytes.set(append.bytes, offset);
    lengths.set(append.lengths, at);
    crcs.set(append.crcs, at);
    for (let index = 0; index < append.events.length; index += 1, at += 1) {
      const { id, stream } = append.events[index]!;
      ids.write(id, at * ID_BYTES, 'hex');
      streamOf[at] = numberOf(streams, stream);
      starts[at] = offset + append.starts[index]!;
    }
    offset += append.bytes.length;
  }
  return { kind: 'commit', counts: Uint32Array.from(appends, ({ events }) => events.length), ids, streams: [...streams.keys()], streamOf, starts, lengths, crcs, bytes };
}

function numberOf(streams: Map<string, number>, stream: string): number {
  const known = streams.get(stream);
  if (known !== undefined) return known;
  streams.set(stream, streams.size);
  return streams.size - 1;
}
