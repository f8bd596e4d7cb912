import { readFileSync } from 'node:fs';
import { type Gguf, GgufError, type MetadataValue, type NewTensor, type Tensor } from '../gguf/index.ts';

/**
 * Gemma 4 as Ollama packs it into one file (convert/convert_gemma4.go and model/models/gemma4 of Ollama say how), in terms of
 * what llama.cpp v0.4.0 loads (tools/mtmd/clip.cpp, conversion/gemma.py).
 */

/** Fixed by the architecture: Ollama's files do not say them. `image_size` is asked for and not used. */
const MEL_BINS = 128;
const IMAGE_SIZE = 224;

/** The keys of the projector file. @throws GgufError when the file lacks one that they are made from. */
export function projectorKeys(gguf: Gguf): Map<string, MetadataValue> {
  const number = (key: string): number => {
    const value = gguf.number(`gemma4.${key}`);
    if (value === null)
      throw new GgufError(`${gguf.path} has encoders but lacks "gemma4.${key}": it is packed in no way that is known`);
    return value;
  };
  const u32 = (value: number): MetadataValue => ({ type: 'u32', value });
  const text = (value: string): MetadataValue => ({ type: 'string', value });
  const yes: MetadataValue = { type: 'bool', value: true };
  const encoder = (kind: 'vision' | 'audio', projector: string): [string, MetadataValue][] => [
    [`clip.has_${kind}_encoder`, yes],
    [`clip.${kind}.projector_type`, text(projector)],
    [`clip.${kind}.projection_dim`, u32(number('embedding_length'))],
    ...['embedding_length', 'feed_forward_length', 'block_count', 'attention.head_count'].map(
      (key): [string, MetadataValue] => [`clip.${kind}.${key}`, u32(number(`${kind}.${key}`))],
    ),
    [
      `clip.${kind}.attention.layer_norm_epsilon`,
      { type: 'f32', value: number(`${kind}.attention.layer_norm_epsilon`) },
    ],
  ];

  const keys = new Map<string, MetadataValue>();
  if (has(gguf, 'v.blk.')) {
    for (const [key, value] of encoder('vision', 'gemma4v')) keys.set(key, value);
    keys.set('clip.vision.image_size', u32(IMAGE_SIZE));
    keys.set('clip.vision.patch_size', u32(number('vision.patch_size')));
    keys.set('clip.vision.image_mean', { type: 'array', of: 'f32', value: [0, 0, 0] });
    keys.set('clip.vision.image_std', { type: 'array', of: 'f32', value: [1, 1, 1] });
    const merged = gguf.number('gemma4.vision.projector.scale_factor');
    if (merged !== null) keys.set('clip.vision.projector.scale_factor', u32(merged));
  }
  if (has(gguf, 'a.blk.')) {
    for (const [key, value] of encoder('audio', 'gemma4a')) keys.set(key, value);
    keys.set('clip.audio.num_mel_bins', u32(MEL_BINS));
  }
  return keys;
}

function has(gguf: Gguf, prefix: string): boolean {
  return gguf.tensors.some(({ name }) => name.startsWith(prefix));
}

/** Of the sound encoder. Names of the picture encoder are the same. */
const RENAMED = new Map([
  ['a.pre_encode.out', 'a.input_projection'],
  ['mm.a.fc', 'a.pre_encode.out'],
]);
const RENAMED_IN_BLOCK = new Map([
  ['ln1', 'attn_pre_norm'],
  ['ln2', 'attn_post_norm'],
  ['layer_pre_norm', 'ln2'],
  ['linear_pos', 'attn_k_rel'],
]);

/** llama.cpp's name for a tensor of Ollama's text model: but one, of the models with experts, they are the same. */
export function textName(name: string): string {
  return name.replace(/^(blk\.\d+)\.ffn_gate_inp\.per_expert_scale$/, '$1.ffn_down_exps.scale');
}

/** llama.cpp's name for a tensor of Ollama's encoders. */
export function projectorName(name: string): string {
  const [, block, part, rest] = /^(a\.blk\.\d+\.)([^.]+)(\..*)?$/.exec(name) ?? [];
  if (block !== undefined && part !== undefined) return `${block}${RENAMED_IN_BLOCK.get(part) ?? part}${rest ?? ''}`;
  const [, stem, end] = /^(.*)(\.[^.]+)$/.exec(name) ?? [];
  const renamed = stem === undefined ? undefined : RENAMED.get(stem);
  return renamed === undefined ? name : `${renamed}${end}`;
}

/** In the order they are packed in: of every layer, then of the projector. */
const CLAMPED = ['attn_q', 'attn_k', 'attn_v', 'attn_out', 'ffn_gate', 'ffn_up', 'ffn_down'];
const BOUNDS = ['input_min', 'input_max', 'output_min', 'output_max'];

/**
 * The bounds of the picture encoder's matrices, which `v.clamp_data` holds as one row of numbers, as tensors of one number.
 * Four zeros stand for a matrix that has none. Those that the file also has by name are left to that.
 * @throws GgufError when the row does not fit the layers.
 */
export function unpackedClamps(gguf: Gguf, packed: Tensor): NewTensor[] {
  const layers = gguf.number('gemma4.vision.block_count') ?? gguf.number('clip.vision.block_count') ?? 0;
  const clamped = Array.from({ length: layers }, (_, at) => CLAMPED.map((part) => `v.blk.${at}.${part}`)).flat();
  clamped.push('mm.input_projection');
  const size = clamped.length * BOUNDS.length;
  if (packed.type.name !== 'F32' || packed.bytes !== size * 4)
    throw new GgufError(`${gguf.path} is damaged: "${packed.name}" does not hold ${size} numbers for ${layers} layers`);

  const data = gguf.data(packed);
  const named = new Set(gguf.tensors.map(({ name }) => name));
  return clamped.flatMap((stem, at) => {
    const values = BOUNDS.map((_, bound) => data.readFloatLE((at * BOUNDS.length + bound) * 4));
    if (values.every((value) => value === 0)) return [];
    return BOUNDS.flatMap((bound, index): NewTensor[] => {
      const name = `${stem}.${bound}`;
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(values[index] ?? 0);
      return named.has(name) ? [] : [{ name, type: 'F32', shape: [1], data: () => [bytes] }];
    });
  });
}

/** Token types of `tokenizer.ggml.token_type` (llama.h, `llama_token_type`). */
const USER_DEFINED = 4;
const BYTE = 6;
/** Part of answers, so never left out of their text (conversion/gemma.py of llama.cpp marks them so too). */
const VISIBLE = [
  '<|channel>',
  '<channel|>',
  '<|tool_call>',
  '<tool_call|>',
  '<|tool_response>',
  '<tool_response|>',
  '<|"|>',
];

/**
 * The tokenizer keys of a Gemma 4 that says its tokenizer is "llama": they make llama.cpp read its vocabulary as byte-pair
 * merges, write bytes as bytes, and show what belongs to answers. Without a chat template it gets ours. Empty for others.
 * @throws GgufError when the merges are missing.
 */
export function mendedTokenizer(gguf: Gguf): Map<string, MetadataValue> {
  const mended = new Map<string, MetadataValue>();
  if (gguf.text('general.architecture') !== 'gemma4') return mended;
  if (gguf.text('tokenizer.ggml.model') === 'llama') {
    if (gguf.array('tokenizer.ggml.merges') === null)
      throw new GgufError(
        `${gguf.path} lacks the merges of its tokenizer ("tokenizer.ggml.merges"), which llama.cpp needs`,
      );
    mended.set('tokenizer.ggml.model', { type: 'string', value: 'gemma4' });
    mended.set('tokenizer.ggml.add_bos_token', { type: 'bool', value: true });
    mended.set('tokenizer.ggml.add_space_prefix', { type: 'bool', value: false });
    mended.set('tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: tokenTypes(gguf) });
  }
  if (gguf.text('tokenizer.chat_template') === null)
    mended.set('tokenizer.chat_template', { type: 'string', value: chatTemplate(gguf) });
  return mended;
}

function tokenTypes(gguf: Gguf): number[] {
  const types = gguf.numbers('tokenizer.ggml.token_type');
  const tokens = gguf.array('tokenizer.ggml.tokens');
  if (types === null || types.length !== tokens?.length)
    throw new GgufError(`${gguf.path} is damaged: its lists of tokens differ in length`);
  const visible = new Set(VISIBLE);
  const markup = '<'.charCodeAt(0);
  for (const [id, text] of gguf.texts('tokenizer.ggml.tokens', (utf8) => utf8[0] === markup)) {
    if (/^<0x[0-9A-F]{2}>$/.test(text)) types[id] = BYTE;
    else if (visible.has(text)) types[id] = USER_DEFINED;
  }
  return types;
}

/** The first line of our template names the test models it was made for. */
const TITLE = /^\{#-.*-#\}\n/;
/** The line of it that opens and closes an empty thought when none is wanted. */
const EMPTY_THOUGHT = /^ *\{%- if not thinking -%\}.*\n/m;

/** Gemma 4's chat format. Of its sizes those with per-layer embeddings (E2B, E4B) begin an answer without an empty thought. */
function chatTemplate(gguf: Gguf): string {
  const template = readFileSync(new URL('gemma4.jinja', import.meta.url), 'utf8').replace(TITLE, '');
  const small = (gguf.number('gemma4.embedding_length_per_layer_input') ?? 0) > 0;
  return small ? template.replace(EMPTY_THOUGHT, '') : template;
}
