import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  copiedTensor,
  ggufBytes,
  type MetadataValue,
  type NewTensor,
  readGguf,
  tensorBytes,
  writeGguf,
} from './index.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gguf-write-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});
const file = (name: string) => join(directory, name);
const filled = (name: string, type: 'F32' | 'Q4_0', shape: number[], fill: number): NewTensor => {
  const bytes = Buffer.alloc(tensorBytes({ name, type, shape }), fill);
  return { name, type, shape, data: () => [bytes.subarray(0, 3), bytes.subarray(3)] };
};

const metadataValue = fc.oneof(
  fc.record({ type: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
  fc.record({ type: fc.constant('i32' as const), value: fc.integer() }),
  fc.record({ type: fc.constant('bool' as const), value: fc.boolean() }),
  fc.record({ type: fc.constant('string' as const), value: fc.string({ unit: 'grapheme' }) }),
);

it('what is written is read again', async () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 5 });
  const shape = fc.array(
    fc.nat(4).map((n) => n + 1),
    { minLength: 1, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string({ minLength: 1 }), metadataValue),
      names,
      shape,
      async (values, tensors, sides) => {
        const metadata = new Map<string, MetadataValue>(
          Object.entries(values).filter(([key]) => key !== 'general.alignment'),
        );
        const made = tensors.map((name, at) => filled(name, 'F32', sides, at + 1));
        await writeGguf(file('a.gguf'), metadata, made);
        const read = readGguf(file('a.gguf'));
        expect([...read.metadata]).toEqual([...metadata].map(([key, { value }]) => [key, value]));
        expect(read.tensors.map(({ name, shape: s }) => [name, s])).toEqual(tensors.map((name) => [name, sides]));
        for (const [at, tensor] of read.tensors.entries())
          expect(read.data(tensor).every((byte) => byte === at + 1)).toBe(true);
        expect(read.fileBytes).toBe(ggufBytes(metadata, made));

        // Copied value by value and tensor by tensor, it is the same file.
        const raw = new Map(
          [...metadata.keys()].map((key) => [key, { type: 'raw' as const, value: read.raw(key) ?? Buffer.of() }]),
        );
        await writeGguf(
          file('b.gguf'),
          raw,
          read.tensors.map((tensor) => copiedTensor(read.path, tensor)),
        );
        expect(readFileSync(file('b.gguf')).equals(readFileSync(file('a.gguf')))).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

it('lists are read again', async () => {
  const metadata = new Map<string, MetadataValue>([
    ['texts', { type: 'array', of: 'string', value: ['a', 'ß', ''] }],
    ['numbers', { type: 'array', of: 'i32', value: [-1, 2] }],
    ['fractions', { type: 'array', of: 'f32', value: [0.5] }],
    ['flags', { type: 'array', of: 'bool', value: [true, false] }],
  ]);
  await writeGguf(file('lists.gguf'), metadata, []);
  const read = readGguf(file('lists.gguf'));
  expect(read.texts('texts', () => true).map(([, text]) => text)).toEqual(['a', 'ß', '']);
  expect([read.numbers('numbers'), read.numbers('fractions'), read.numbers('flags')]).toEqual([[-1, 2], [0.5], [1, 0]]);
});

it('a tensor whose data has the wrong size is noticed', async () => {
  const tensor: NewTensor = { name: 'x', type: 'F32', shape: [4], data: () => [new Uint8Array(12)] };
  await expect(writeGguf(file('x.gguf'), new Map(), [tensor])).rejects.toThrow('12 bytes where 16 are due');
  expect(() => tensorBytes({ name: 'x', type: 'Q4_0', shape: [33, 2] })).toThrow('multiple of 32');
});

it('tells what it has written, and stops when asked to', async () => {
  let written = 0;
  const tensors = [filled('a', 'Q4_0', [64, 3], 1), filled('b', 'F32', [1 << 20], 2)];
  await writeGguf(file('y.gguf'), new Map(), tensors, { onWritten: (bytes) => (written += bytes) });
  expect(written).toBe(readGguf(file('y.gguf')).fileBytes);

  const stop = new AbortController();
  const endless = { ...filled('a', 'F32', [4], 0), shape: [1 << 28], data: () => pieces(stop) };
  await expect(writeGguf(file('z.gguf'), new Map(), [endless], { signal: stop.signal })).rejects.toThrow('enough');
});

function* pieces(stop: AbortController): Iterable<Uint8Array> {
  const piece = new Uint8Array(1 << 20);
  for (let at = 0; ; at += 1) {
    if (at === 3) stop.abort(new Error('enough'));
    yield piece;
  }
}
