import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeModel, GgufError, readGguf } from './index.ts';

const testModel = (name: string) => new URL(`../../../../models/test/${name}`, import.meta.url).pathname;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gguf-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function file(content: Uint8Array): string {
  const path = join(directory, 'model.gguf');
  writeFileSync(path, content);
  return path;
}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number | bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const entry = {
  u32: (key: string, value: number) => Buffer.concat([text(key), u32(4), u32(value)]),
  text: (key: string, value: string) => Buffer.concat([text(key), u32(8), text(value)]),
  flag: (key: string, value: boolean) => Buffer.concat([text(key), u32(7), Buffer.from([value ? 1 : 0])]),
  texts: (key: string, values: string[]) =>
    Buffer.concat([text(key), u32(9), u32(8), u64(values.length), ...values.map(text)]),
  numbers: (key: string, values: number[]) =>
    Buffer.concat([text(key), u32(9), u32(5), u64(values.length), ...values.map(u32)]),
};
const tensor = (name: string, shape: number[], type: number, offset: number) =>
  Buffer.concat([text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset)]);

function gguf(entries: Buffer[], tensors: Buffer[], dataBytes: number): Buffer {
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(entries.length),
    ...entries,
    ...tensors,
  ]);
  return Buffer.concat([header, Buffer.alloc(-header.length & 31), Buffer.alloc(dataBytes)]);
}

const basics = [entry.text('general.architecture', 'llama'), entry.u32('llama.block_count', 1)];
const weights = [tensor('a', [64, 2], 0, 0), tensor('b', [32], 2, 512)];
const small = gguf(
  [
    ...basics,
    entry.u32('llama.context_length', 4096),
    entry.text('tokenizer.chat_template', '{{ bos_token }}<tool_call>'),
    entry.texts('tokenizer.ggml.tokens', [
      '<unk>',
      '<s>',
      '</s>',
      'x',
      '<table>',
      '<tool_call>',
      '\n\n',
      '<|a|>',
      '<|im_end|>',
    ]),
    entry.numbers('tokenizer.ggml.token_type', [2, 3, 3, 1, 4, 4, 4, 4, 1]),
    entry.text('tokenizer.ggml.model', 'llama'),
  ],
  weights,
  530,
);

describe('a GGUF', () => {
  it('is read', () => {
    const read = readGguf(file(small));
    expect(read.version).toBe(3);
    expect(read.number('llama.context_length')).toBe(4096);
    expect(read.tensors.map(({ name, shape, type, bytes }) => [name, shape, type.name, bytes])).toEqual([
      ['a', [64, 2], 'F32', 512],
      ['b', [32], 'Q4_0', 18],
    ]);
    expect(read.tensors[0]?.offset).toBe(small.length - 530);
  });

  it('tells its control tokens: not blanks, not HTML, but what the template uses', () => {
    const model = describeModel(file(small));
    expect(model.controlTokens).toEqual(['<unk>', '<s>', '</s>', '<tool_call>', '<|a|>', '<|im_end|>']);
    expect(model.controlTokenIds.get('<|a|>')).toBe(7);
    expect(model).toMatchObject({
      bosToken: '<s>',
      eosToken: '</s>',
      addsBos: true,
      contextLength: 4096,
      isMmproj: false,
    });
  });

  it('of the test models is described', () => {
    const model = describeModel(testModel('text.gguf'));
    expect(model).toMatchObject({
      architecture: 'gemma4',
      bosToken: '<bos>',
      addsBos: true,
      isMmproj: false,
      combined: false,
    });
    expect(model.controlTokens).toEqual(
      expect.arrayContaining(['<|turn>', '<turn|>', '<|tool_call>', '<|"|>', '<|channel>']),
    );
    expect(model.chatTemplate).toContain('<|turn>');
    expect(describeModel(testModel('mmproj.gguf'))).toMatchObject({ isMmproj: true, image: true, audio: true });
  });

  it('with a vocabulary of Gemma’s size is described at once', () => {
    const tokens = Array.from({ length: 262_144 }, (_, number) =>
      number < 6000 ? `<unused${number}>` : `token${number}`,
    );
    const types = tokens.map((_, number) => (number < 6000 ? 3 : 1));
    const merges = Array.from({ length: 400_000 }, (_, number) => `tok en${number}`);
    const path = file(
      gguf(
        [
          ...basics,
          entry.texts('tokenizer.ggml.tokens', tokens),
          entry.numbers('tokenizer.ggml.token_type', types),
          entry.texts('tokenizer.ggml.merges', merges),
        ],
        weights,
        530,
      ),
    );
    describeModel(path);
    const started = performance.now();
    expect(describeModel(path)).toMatchObject({ vocabularySize: 262_144 });
    // 300 ms is what is wanted on a quiet machine; tests share theirs.
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('a file that is no whole GGUF is refused:', () => {
  const withEntries = (...entries: Buffer[]) => gguf([...basics, ...entries], weights, 530);
  const patched = (offset: number, bytes: Buffer) => {
    const copy = Buffer.from(small);
    bytes.copy(copy, offset);
    return copy;
  };
  it.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(), 'not a GGUF'],
    ['something else', Buffer.from('<!doctype html><title>Not found</title>'), 'not a GGUF'],
    ['cut off in its data', small.subarray(0, small.length - 1), 'cut off'],
    ['cut off in its header', small.subarray(0, 200), 'cut off'],
    ['of an old version', patched(4, u32(1)), 'version 1'],
    ['big-endian', patched(4, Buffer.from([0, 0, 0, 3])), 'big-endian'],
    ['countless tensors', patched(8, u64(2n ** 63n)), 'number of tensors'],
    ['countless values', patched(16, u64(600)), 'number of metadata values'],
    ['an endless key', patched(24, u64(2n ** 62n)), 'metadata key'],
    ['an unknown value type', withEntries(Buffer.concat([text('k'), u32(13)])), 'unknown type'],
    ['lists of lists', withEntries(Buffer.concat([text('k'), u32(9), u32(9), u64(1)])), 'list of lists'],
    ['an endless list', withEntries(Buffer.concat([text('k'), u32(9), u32(0), u64(2n ** 40n)])), 'length of "k"'],
    ['a key there twice', withEntries(entry.u32('llama.block_count', 1)), 'twice'],
    ['an odd alignment', withEntries(entry.u32('general.alignment', 12)), 'alignment'],
    ['a tensor there twice', gguf(basics, [tensor('a', [1], 0, 0), tensor('a', [1], 0, 32)], 64), 'twice'],
    ['a tensor elsewhere', gguf(basics, [tensor('a', [1], 0, 64)], 128), 'where it should be'],
    ['a tensor of an unknown type', gguf(basics, [tensor('a', [1], 4, 0)], 64), 'type 4'],
    ['a tensor of five dimensions', gguf(basics, [tensor('a', [1, 1, 1, 1, 1], 0, 0)], 64), '5 dimensions'],
    ['a tensor without end', gguf(basics, [tensor('a', [2 ** 40, 2 ** 40], 0, 0)], 64), 'shape'],
    ['a tensor of nothing', gguf(basics, [tensor('a', [0], 0, 0)], 64), 'shape'],
    ['half a block', gguf(basics, [tensor('a', [16], 2, 0)], 64), 'blocks'],
    ['no architecture', gguf([], weights, 530), 'no architecture'],
    ['no weights', gguf(basics, [], 0), 'no weights'],
    ['no blocks', gguf([entry.text('general.architecture', 'llama')], weights, 530), 'block_count'],
    [
      'a million blocks',
      gguf([entry.text('general.architecture', 'x'), entry.u32('x.block_count', 1e6)], weights, 530),
      'block_count',
    ],
    [
      'half a pair of turned dimensions',
      withEntries(entry.u32('llama.rope.dimension_count', 7)),
      'rope.dimension_count',
    ],
    ['a context of the wrong type', withEntries(entry.text('llama.context_length', 'long')), 'not a number'],
    [
      'shared layers that do not fit',
      gguf(
        [
          entry.text('general.architecture', 'gemma4'),
          entry.u32('gemma4.block_count', 3),
          entry.u32('gemma4.attention.shared_kv_layers', 1),
          entry.numbers('gemma4.attention.sliding_window_pattern', [1, 1, 0]),
        ],
        weights,
        530,
      ),
      'share their caches',
    ],
  ])('%s', (_what, content, words) => {
    const path = file(content);
    expect(() => describeModel(path)).toThrow(GgufError);
    expect(() => describeModel(path)).toThrow(
      expect.objectContaining({ code: 'model_unusable', message: expect.stringContaining(words) }),
    );
    expect(() => describeModel(path)).toThrow(path);
  });

  it('missing, or a folder', () => {
    expect(() => readGguf(join(directory, 'none.gguf'))).toThrow(GgufError);
    expect(() => readGguf(directory)).toThrow('not a file');
  });

  it('whatever the damage, in no time and no memory', () => {
    const whole = [small, readFileSync(testModel('text.gguf')), readFileSync(testModel('mmproj.gguf'))];
    const damage = fc.array(
      fc.record({
        at: fc.oneof(fc.nat(400), fc.nat(30_000)),
        bytes: fc.oneof(
          fc.constantFrom(u64(2n ** 64n - 1n), u64(2n ** 31n), u32(0xffffffff), u32(0), u32(9), u64(0)),
          fc.uint8Array({ minLength: 1, maxLength: 9 }),
        ),
      }),
      { minLength: 1, maxLength: 4 },
    );
    const before = process.memoryUsage().rss;
    fc.assert(
      fc.property(fc.constantFrom(...whole), damage, fc.option(fc.nat(60_000)), (content, changes, cut) => {
        const copy = Buffer.from(cut === null ? content : content.subarray(0, cut));
        for (const { at, bytes } of changes) if (at + bytes.length <= copy.length) copy.set(bytes, at);
        const path = file(copy);
        const started = performance.now();
        try {
          describeModel(path);
        } catch (error) {
          expect(error).toBeInstanceOf(GgufError);
        }
        expect(performance.now() - started).toBeLessThan(5000);
      }),
      { numRuns: 1500 },
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(500 << 20);
  });
});
