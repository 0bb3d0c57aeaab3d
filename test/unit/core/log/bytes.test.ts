import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packF32, packU32, unpackF32, unpackU32 } from '../../../../core/log/bytes.js';

describe('packed numbers', () => {
  it('are little-endian words without a header', () => {
    expect([...packU32([1, 0x01020304, 0xffffffff])]).toEqual([1, 0, 0, 0, 4, 3, 2, 1, 255, 255, 255, 255]);
    expect([...packF32([1, -2])]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
  });

  it('come back from any byte offset', () => {
    fc.assert(fc.property(fc.uint32Array(), fc.nat(7), (values, offset) => {
      const shifted = new Uint8Array(offset + values.length * 4);
      shifted.set(packU32(values), offset);
      expect(unpackU32(shifted.subarray(offset))).toEqual(values);
    }));
    fc.assert(fc.property(fc.float32Array(), (values) => {
      expect(unpackF32(packF32(values))).toEqual(values);
    }));
  });

  it('are copies', () => {
    const values = new Uint32Array([1, 2]);
    const packed = packU32(values);
    const unpacked = unpackU32(packed);
    packed.fill(0);
    expect([...values, ...unpacked]).toEqual([1, 2, 1, 2]);
  });

  it('are CORRUPT when cut inside a word', () => {
    expect(() => unpackU32(new Uint8Array(5))).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(() => unpackF32(new Uint8Array(3))).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  });
});
