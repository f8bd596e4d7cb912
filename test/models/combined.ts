import { fileURLToPath } from 'node:url';
import { copiedTensor, type Gguf, type MetadataValue, type NewTensor, readGguf, writeGguf } from '@batchmill/engine';

/** The test model of the repository, as llama.cpp loads it. */
export const TEST_PAIR = {
  model: fileURLToPath(new URL('../../models/test/text.gguf', import.meta.url)),
  mmproj: fileURLToPath(new URL('../../models/test/mmproj.gguf', import.meta.url)),
};

/**
 * How a single file may be laid out: `llama.cpp` puts the `clip.*` keys beside those of the text model, `ollama` is what
 * Ollama's converter of Gemma 4 writes.
 */
export type Layout = 'llama.cpp' | 'ollama';

export interface CombinedOptions {
  /** Of Ollama's files some have none. True unless given. */
  chatTemplate?: boolean;
  /** Ollama: bounds of the vision matrices as one packed tensor. Else by name. True unless given. */
  packedClamps?: boolean;
  /** Ollama: a tensor of the encoders that kept its first name, which its own loader passes over. False unless given. */
  leftOver?: boolean;
}

export const LEFT_OVER = 'model.vision_tower.left.over';

/** Writes the test model with its encoders in one file. */
export async function writeCombined(path: string, layout: Layout, options: CombinedOptions = {}): Promise<void> {
  const text = readGguf(TEST_PAIR.model);
  const mmproj = readGguf(TEST_PAIR.mmproj);
  const { metadata, tensors } = layout === 'ollama' ? asOllama(text, mmproj, options) : asLlamaCpp(text, mmproj);
  if (options.chatTemplate === false) metadata.delete('tokenizer.chat_template');
  await writeGguf(path, metadata, tensors);
}

interface Parts {
  metadata: Map<string, MetadataValue>;
  tensors: NewTensor[];
}

function asLlamaCpp(text: Gguf, mmproj: Gguf): Parts {
  const clipKeys = [...mmproj.metadata.keys()].filter((key) => key.startsWith('clip.'));
  return {
    metadata: new Map([...rawOf(text, [...text.metadata.keys()]), ...rawOf(mmproj, clipKeys)]),
    tensors: [text, mmproj].flatMap((gguf) => gguf.tensors.map((tensor) => copiedTensor(gguf.path, tensor))),
  };
}

/** Keys in order of the alphabet, tensors too; other names, other token types, bounds packed (convert/convert_gemma4.go). */
function asOllama(text: Gguf, mmproj: Gguf, { packedClamps = true, leftOver = false }: CombinedOptions): Parts {
  const metadata = rawOf(text, [...text.metadata.keys()]);
  for (const key of ['tokenizer.ggml.add_bos_token', 'tokenizer.ggml.add_space_prefix']) metadata.delete(key);
  metadata.set('tokenizer.ggml.model', { type: 'string', value: 'llama' });
  metadata.set('tokenizer.ggml.pre', { type: 'string', value: 'gemma4' });
  metadata.set('tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: ollamaTypes(text) });
  for (const [kind, keys] of Object.entries(ENCODER_KEYS)) {
    for (const key of keys) {
      const value = mmproj.raw(`clip.${kind}.${key}`);
      if (value !== null) metadata.set(`gemma4.${kind}.${key}`, { type: 'raw', value });
    }
  }
  metadata.set('gemma4.vision.num_channels', { type: 'u32', value: 3 });
  metadata.set('gemma4.vision.projector.scale_factor', { type: 'u32', value: 3 });
  metadata.set('gemma4.audio.conv_kernel_size', { type: 'u32', value: 5 });

  const bounds = mmproj.tensors.filter(({ name }) => packedClamps && /^v\..*put_(?:min|max)$/.test(name));
  const tensors = [
    ...text.tensors.map((tensor) => copiedTensor(text.path, tensor)),
    ...mmproj.tensors
      .filter((tensor) => !bounds.includes(tensor))
      .map((tensor) => copiedTensor(mmproj.path, tensor, ollamaName(tensor.name))),
    ...(packedClamps ? [packed(mmproj)] : []),
    ...(leftOver ? [{ name: LEFT_OVER, type: 'F32' as const, shape: [1], data: () => [new Uint8Array(4)] }] : []),
  ];
  const byKey = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1);
  return { metadata: new Map([...metadata].sort(byKey)), tensors: tensors.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

const ENCODER_KEYS = {
  vision: ['block_count', 'embedding_length', 'feed_forward_length', 'attention.head_count'].concat([
    'attention.layer_norm_epsilon',
    'patch_size',
  ]),
  audio: ['block_count', 'embedding_length', 'feed_forward_length', 'attention.head_count'].concat([
    'attention.layer_norm_epsilon',
  ]),
};

function rawOf(gguf: Gguf, keys: readonly string[]): Map<string, MetadataValue> {
  return new Map(keys.map((key) => [key, { type: 'raw', value: gguf.raw(key) ?? new Uint8Array() }]));
}

/** Of `tokenizer.ggml.token_type` (llama.h). */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

/** From tokenizer.json Ollama knows special tokens, added tokens and all others: bytes are ordinary to it. */
function ollamaTypes(text: Gguf): number[] {
  const theirs = new Map([
    [BYTE, NORMAL],
    [USER_DEFINED, CONTROL],
  ]);
  const types = text.numbers('tokenizer.ggml.token_type') ?? [];
  return types.map((type) => theirs.get(type) ?? type);
}

function ollamaName(name: string): string {
  const moved: Record<string, string> = { 'a.pre_encode.out': 'mm.a.fc', 'a.input_projection': 'a.pre_encode.out' };
  for (const [ours, theirs] of Object.entries(moved)) {
    if (name.startsWith(`${ours}.`)) return name.replace(ours, theirs);
  }
  return name
    .replace(/^(a\.blk\.\d+)\.ln2\./, '$1.layer_pre_norm.')
    .replace(/^(a\.blk\.\d+)\.attn_pre_norm\./, '$1.ln1.')
    .replace(/^(a\.blk\.\d+)\.attn_post_norm\./, '$1.ln2.')
    .replace(/^(a\.blk\.\d+)\.attn_k_rel\./, '$1.linear_pos.');
}

/** Of every layer's seven matrices, then of the projector: four numbers each, zeros where there are none. */
function packed(mmproj: Gguf): NewTensor {
  const layers = mmproj.number('clip.vision.block_count') ?? 0;
  const parts = ['attn_q', 'attn_k', 'attn_v', 'attn_out', 'ffn_gate', 'ffn_up', 'ffn_down'];
  const stems = Array.from({ length: layers }, (_, at) => parts.map((part) => `v.blk.${at}.${part}`)).flat();
  const values = [...stems, 'mm.input_projection'].flatMap((stem) =>
    ['input_min', 'input_max', 'output_min', 'output_max'].map((bound) => {
      const tensor = mmproj.tensors.find(({ name }) => name === `${stem}.${bound}`);
      return tensor === undefined ? 0 : mmproj.data(tensor).readFloatLE();
    }),
  );
  const data = Buffer.from(Float32Array.from(values).buffer);
  return { name: 'v.clamp_data', type: 'F32', shape: [values.length], data: () => [data] };
}
