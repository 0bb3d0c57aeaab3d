/** Bytes of old events still mean what they meant. Never change a file of an old version (test/golden/record-events.mjs). */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SCHEMA_VERSION, upcast } from '../../core/log/upcast.js';
import { naturalKey } from '../../core/log/keys.js';
import { Event } from '../../proto/gen/stemma/v1/events.js';

const FOLDER = join(import.meta.dirname, 'events');
const PROTO = readFileSync(join(import.meta.dirname, '../../proto/stemma/v1/events.proto'), 'utf8');
type Golden = { readonly [payload: string]: { readonly bytes: string; readonly event: object } };
const read = (file: string): Golden => JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Golden;

describe.each(readdirSync(FOLDER))('golden events %s', (file) => {
  it.each(Object.entries(read(file)))('%s', (payload, golden) => {
    const event = Event.decode(new Uint8Array(Buffer.from(golden.bytes, 'base64')));
    // Fields that were added since read as their defaults: what was written must be there unaltered.
    expect(Event.toJSON(event)).toMatchObject(golden.event);
    const current = upcast(event);
    expect(current.schemaVersion).toBe(SCHEMA_VERSION);
    expect(current.payload?.$case).toBe(payload);
    expect(typeof (current.payload && naturalKey(current.payload))).toBe('string');
  });
});

describe('golden events of this version', () => {
  it('are there for every payload', () => {
    const oneof = PROTO.slice(PROTO.indexOf('oneof payload'), PROTO.indexOf('// A role on this stream'));
    const payloads = [...oneof.matchAll(/^ {4}[A-Z]\w+ (\w+) = \d+;/gm)].map(([, name = '']) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()));
    expect(Object.keys(read(`v${SCHEMA_VERSION}.json`))).toEqual(expect.arrayContaining(payloads));
  });
});
