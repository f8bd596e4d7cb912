import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Layout, LEFT_OVER, TEST_PAIR, writeCombined } from '../../../../test/models/combined.ts';
import { describeModel, type Gguf, type MetadataValue, type NewTensor, readGguf, writeGguf } from '../gguf/index.ts';
import { readDialect } from '../llama-server/model.ts';
import { EngineError } from '../port.ts';
import { splitModel, splitPaths } from './split.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'split-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});
const file = (name: string) => join(folder, name);

/** Splits what lies at `x.gguf`. */
async function split(options: Parameters<typeof splitModel>[2] = {}) {
  const pair = splitPaths(file('x.gguf'));
  await splitModel(file('x.gguf'), pair, options);
  return pair;
}

const tensorsOf = (gguf: Gguf) =>
  new Map(
    gguf.tensors.map((tensor) => [tensor.name, { ...tensor, offset: 0, data: gguf.data(tensor).toString('base64') }]),
  );

/** Values as they are, lists as their bytes. */
const metadataOf = (gguf: Gguf): Map<string, unknown> =>
  new Map(
    [...gguf.metadata].map(([key, value]) => [
      key,
      typeof value === 'object' ? gguf.raw(key)?.toString('base64') : value,
    ]),
  );

describe.for<Layout>(['llama.cpp', 'ollama'])('a combined file in the layout of %s', (layout) => {
  test('becomes the pair it was made of, to the last bit', async () => {
    await writeCombined(file('x.gguf'), layout);
    const pair = await split();
    expect(pair).toEqual({ model: file('x-text.gguf'), mmproj: file('x-mmproj.gguf') });
    expect(readdirSync(folder).sort()).toEqual(['x-mmproj.gguf', 'x-text.gguf', 'x.gguf']);

    const [text, mmproj] = [readGguf(pair.model), readGguf(pair.mmproj)];
    const [oldText, oldMmproj] = [readGguf(TEST_PAIR.model), readGguf(TEST_PAIR.mmproj)];
    expect(tensorsOf(text)).toEqual(tensorsOf(oldText));
    expect(tensorsOf(mmproj)).toEqual(tensorsOf(oldMmproj));

    const expectedText = metadataOf(oldText);
    const expectedMmproj = metadataOf(oldMmproj).set('general.name', text.text('general.name') ?? '');
    if (layout === 'ollama') {
      expectedText.set('tokenizer.ggml.pre', 'gemma4');
      expectedMmproj.set('clip.vision.projector.scale_factor', 3);
    }
    expect(metadataOf(text)).toEqual(expectedText);
    expect(metadataOf(mmproj)).toEqual(expectedMmproj);
    expect(describeModel(pair.model)).toMatchObject({ combined: false, isMmproj: false });
    expect(describeModel(pair.mmproj)).toMatchObject({ isMmproj: true, image: true, audio: true });
  });

  test('gets a chat template if it has none', async () => {
    await writeCombined(file('x.gguf'), layout, { chatTemplate: false });
    const pair = await split();
    const { template } = readDialect(pair.model);
    expect(template).toContain('<|turn>model');
    // The small models of the family begin an answer without an empty thought.
    expect(template).not.toContain('<|channel>');
    expect(template).not.toContain('test models');
  });
});

test('bounds of the vision matrices may stand in the file by name too', async () => {
  await writeCombined(file('x.gguf'), 'ollama', { packedClamps: false });
  const pair = await split();
  expect(tensorsOf(readGguf(pair.mmproj))).toEqual(tensorsOf(readGguf(TEST_PAIR.mmproj)));
});

test('a tensor of the encoders under an unknown name does not get into the text model', async () => {
  await writeCombined(file('x.gguf'), 'ollama', { leftOver: true });
  const pair = await split();
  expect(tensorsOf(readGguf(pair.model))).toEqual(tensorsOf(readGguf(TEST_PAIR.model)));
  expect(tensorsOf(readGguf(pair.mmproj)).has(LEFT_OVER)).toBe(true);
});

/** A file just good enough to be split, of two vision layers. */
async function writeSmall(extra: NewTensor[]): Promise<void> {
  const number = (key: string, value: number): [string, MetadataValue] => [key, { type: 'u32', value }];
  const sizes = ['embedding_length', 'feed_forward_length', 'attention.head_count', 'patch_size'];
  await writeGguf(
    file('x.gguf'),
    new Map<string, MetadataValue>([
      ['general.architecture', { type: 'string', value: 'gemma4' }],
      ['tokenizer.chat_template', { type: 'string', value: 'x' }],
      number('gemma4.embedding_length', 8),
      number('gemma4.block_count', 1),
      number('gemma4.vision.block_count', 2),
      ...sizes.map((key) => number(`gemma4.vision.${key}`, 8)),
      ['gemma4.vision.attention.layer_norm_epsilon', { type: 'f32', value: 0.5 }],
    ]),
    [vector('token_embd.weight', [1]), vector('v.blk.0.ln1.weight', [2]), ...extra],
  );
}
const vector = (name: string, values: number[]): NewTensor => ({
  name,
  type: 'F32',
  shape: [values.length],
  data: () => [Buffer.from(Float32Array.from(values).buffer)],
});

test('packed bounds go to the matrix they belong to, and scales of experts get their name', async () => {
  const values = Array.from({ length: (2 * 7 + 1) * 4 }, (_, at) => at + 1);
  // None for the last matrix of the first layer.
  values.fill(0, 24, 28);
  await writeSmall([
    vector('v.clamp_data', values),
    vector('v.blk.1.attn_q.input_min', [-7]),
    vector('blk.0.ffn_gate_inp.per_expert_scale', [1]),
  ]);
  const { model, mmproj } = await split();
  expect(readGguf(model).tensors.map(({ name }) => name)).toEqual(['token_embd.weight', 'blk.0.ffn_down_exps.scale']);
  const read = readGguf(mmproj);
  const bounds = read.tensors.filter(({ name }) => /put_(?:min|max)$/.test(name));
  const found = Object.fromEntries(bounds.map((tensor) => [tensor.name, read.data(tensor).readFloatLE()]));
  expect(bounds.every(({ shape }) => shape.length === 1 && shape[0] === 1)).toBe(true);
  expect(bounds).toHaveLength(14 * 4);
  expect(found).toMatchObject({
    'v.blk.0.attn_q.input_min': 1,
    'v.blk.0.attn_q.input_max': 2,
    'v.blk.0.attn_q.output_min': 3,
    'v.blk.0.attn_q.output_max': 4,
    'v.blk.0.ffn_up.input_min': 21,
    // The one by name counts.
    'v.blk.1.attn_q.input_min': -7,
    'v.blk.1.attn_q.input_max': 30,
    'v.blk.1.ffn_down.output_max': 56,
    'mm.input_projection.input_min': 57,
    'mm.input_projection.output_max': 60,
  });
  expect(found).not.toHaveProperty(['v.blk.0.ffn_down.input_min']);
  expect(read.metadata.has('clip.has_audio_encoder')).toBe(false);
});

test('packed bounds that do not fit the layers are damage', async () => {
  await writeSmall([vector('v.clamp_data', [1, 2, 3, 4])]);
  await expect(split()).rejects.toThrow('does not hold 60 numbers for 2 layers');
});

const named = (architecture: string) =>
  new Map<string, MetadataValue>([['general.architecture', { type: 'string', value: architecture }]]);

describe('what cannot be split is refused with its reason, and nothing is written:', () => {
  const refused = async (...message: string[]) => {
    const before = readdirSync(folder);
    const error = await split().then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EngineError);
    for (const part of message) expect(String(error)).toContain(part);
    expect(readdirSync(folder)).toEqual(before);
  };

  test('a text model', async () => {
    writeFileSync(file('x.gguf'), readFileSync(TEST_PAIR.model));
    await refused('nothing to split');
  });
  test('a projector', async () => {
    writeFileSync(file('x.gguf'), readFileSync(TEST_PAIR.mmproj));
    await refused('a projector (mmproj) already');
  });
  test('a file that is cut off', async () => {
    await writeCombined(file('x.gguf'), 'ollama');
    truncateSync(file('x.gguf'), 1_500_000);
    await refused('cut off');
  });
  test('no GGUF', async () => {
    writeFileSync(file('x.gguf'), 'x'.repeat(100));
    await refused('not a GGUF file');
  });
  test('no file', () => refused('cannot be opened'));
  test('encoders of a kind that is not known', async () => {
    await writeGguf(file('x.gguf'), named('llama4'), [vector('v.blk.0.ln1.weight', [1])]);
    await refused('no clip.* keys');
  });
  test('no keys of the encoders', async () => {
    await writeGguf(file('x.gguf'), named('gemma4'), [vector('v.blk.0.ln1.weight', [1])]);
    await refused('gemma4.embedding_length');
  });
});

test('it tells how far it is', async () => {
  await writeCombined(file('x.gguf'), 'llama.cpp');
  const seen: [number, number][] = [];
  const pair = await split({ onProgress: (written, total) => seen.push([written, total]) });
  const total = readGguf(pair.model).fileBytes + readGguf(pair.mmproj).fileBytes;
  expect(seen.at(-1)).toEqual([total, total]);
});

test('stopped in the middle it leaves nothing behind', async () => {
  await writeCombined(file('x.gguf'), 'llama.cpp');
  const stop = new AbortController();
  const stopped = split({ signal: stop.signal, onProgress: () => stop.abort() });
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  expect(readdirSync(folder)).toEqual(['x.gguf']);
});

test('two at once do not disturb each other', async () => {
  await writeCombined(file('x.gguf'), 'ollama');
  await Promise.all([split(), split()]);
  expect(tensorsOf(readGguf(file('x-text.gguf')))).toEqual(tensorsOf(readGguf(TEST_PAIR.model)));
  expect(readdirSync(folder).sort()).toEqual(['x-mmproj.gguf', 'x-text.gguf', 'x.gguf']);
});
