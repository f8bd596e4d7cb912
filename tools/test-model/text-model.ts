import type { MetadataValue, NewTensor } from '@batchmill/engine';
import { random } from './random.ts';
import type { Vocabulary } from './vocabulary.ts';
import { type StoredType, weights } from './weights.ts';

/** Dimensions of a Gemma 4 text model. */
export interface TextShape {
  name: string;
  /** How matrices are stored. */
  type: StoredType;
  vocabulary: number;
  context: number;
  embedding: number;
  layers: number;
  /** The last layers, which own no keys and values and reuse those of the last two that do. */
  sharedLayers: number;
  /** Every n-th layer attends to everything, the others to a sliding window. */
  fullEvery: number;
  window: number;
  heads: number;
  headsKv: number;
  headFull: number;
  headSliding: number;
  /** Of layers that own keys and values; twice that in the others. */
  feedForward: number;
  perLayer: number;
  /** Real models use the embeddings as the head too. Untied, a small random model's answer depends on the prompt. */
  tied: boolean;
}

const NO_ROTATION = 1e30;

/** Metadata and tensors of a `gemma4` GGUF with random weights. */
export function textModel(
  shape: TextShape,
  words: Vocabulary,
  template: string,
  seed: number,
): { metadata: Map<string, MetadataValue>; tensors: NewTensor[] } {
  const layers = Array.from({ length: shape.layers }, (_, at) => ({
    prefix: `blk.${at}.`,
    sliding: (at + 1) % shape.fullEvery !== 0,
    shared: at >= shape.layers - shape.sharedLayers,
  }));
  const owned = layers.filter((layer) => !layer.shared);
  // llama.cpp takes the keys and values of shared layers from the last two owned ones, in this order.
  if (owned.at(-1)?.sliding !== false || owned.at(-2)?.sliding !== true) {
    throw new Error('The last layer with keys and values must be full, the one before it sliding');
  }
  return {
    metadata: textMetadata(
      shape,
      words,
      template,
      layers.map((layer) => layer.sliding),
    ),
    tensors: textTensors(shape, words, layers, seed),
  };
}

function textMetadata(
  shape: TextShape,
  words: Vocabulary,
  template: string,
  sliding: readonly boolean[],
): Map<string, MetadataValue> {
  const uint = (value: number): MetadataValue => ({ type: 'u32', value });
  const float = (value: number): MetadataValue => ({ type: 'f32', value });
  const text = (value: string): MetadataValue => ({ type: 'string', value });
  const feedForward = sliding.map((_, at) => shape.feedForward * (at >= shape.layers - shape.sharedLayers ? 2 : 1));
  return new Map<string, MetadataValue>([
    ['general.architecture', text('gemma4')],
    ['general.name', text(shape.name)],
    ['general.file_type', uint({ F32: 0, F16: 1, Q4_0: 2 }[shape.type])],
    ['gemma4.context_length', uint(shape.context)],
    ['gemma4.embedding_length', uint(shape.embedding)],
    ['gemma4.block_count', uint(shape.layers)],
    ['gemma4.feed_forward_length', { type: 'array', of: 'i32', value: feedForward }],
    ['gemma4.attention.head_count', uint(shape.heads)],
    ['gemma4.attention.head_count_kv', uint(shape.headsKv)],
    ['gemma4.attention.layer_norm_rms_epsilon', float(1e-6)],
    ['gemma4.attention.key_length', uint(shape.headFull)],
    ['gemma4.attention.value_length', uint(shape.headFull)],
    ['gemma4.attention.key_length_swa', uint(shape.headSliding)],
    ['gemma4.attention.value_length_swa', uint(shape.headSliding)],
    ['gemma4.attention.sliding_window', uint(shape.window)],
    ['gemma4.attention.sliding_window_pattern', { type: 'array', of: 'bool', value: sliding }],
    ['gemma4.attention.shared_kv_layers', uint(shape.sharedLayers)],
    ['gemma4.rope.freq_base', float(1e6)],
    ['gemma4.rope.freq_base_swa', float(1e4)],
    ['gemma4.rope.dimension_count', uint(shape.headFull)],
    ['gemma4.rope.dimension_count_swa', uint(shape.headSliding)],
    ['gemma4.embedding_length_per_layer_input', uint(shape.perLayer)],
    ['gemma4.final_logit_softcapping', float(30)],
    ['tokenizer.ggml.model', text('gemma4')],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: words.tokens }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: words.types }],
    ['tokenizer.ggml.scores', { type: 'array', of: 'f32', value: words.tokens.map(() => 0) }],
    ['tokenizer.ggml.merges', { type: 'array', of: 'string', value: words.merges }],
    ['tokenizer.ggml.bos_token_id', uint(words.id('<bos>'))],
    ['tokenizer.ggml.eos_token_id', uint(words.id('<eos>'))],
    ['tokenizer.ggml.unknown_token_id', uint(words.id('<unk>'))],
    ['tokenizer.ggml.padding_token_id', uint(words.id('<pad>'))],
    ['tokenizer.ggml.mask_token_id', uint(words.id('<mask>'))],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: false }],
    ['tokenizer.chat_template', text(template)],
  ]);
}

/** Of the head's bias: what an unreadable token gets, far below every other logit (which stay within ±20). */
const NEVER = -60;
/** Makes the end of the turn about as likely as that answers end within some tens of tokens. */
const END_OF_TURN = 3;

function textTensors(
  shape: TextShape,
  words: Vocabulary,
  layers: readonly { prefix: string; sliding: boolean; shared: boolean }[],
  seed: number,
): NewTensor[] {
  const { matrix, norm, vector } = weights(random(seed), shape.type);
  const { embedding, perLayer } = shape;
  // Untied, dimension 0 is the same in every embedding and no layer changes it: the head's column 0 is its bias. With it a
  // random model writes readable text and stops at times. Tied, tokens that are not words get no embedding: the model
  // never ends its turn, so that a benchmark decides how long answers are.
  const still = shape.tied ? [] : [0];
  const unread = (row: number) => !words.readable(row);
  const end = words.id('<turn|>');

  const tensors = [
    matrix('token_embd.weight', shape.vocabulary, embedding, {
      deviation: 0.5,
      ...(shape.tied
        ? { silent: unread }
        : {
            fix: (_, values) => {
              values[0] = 0.5;
            },
          }),
    }),
    norm('output_norm.weight', embedding),
    ...(shape.tied
      ? []
      : [
          matrix('output.weight', shape.vocabulary, embedding, {
            deviation: 0.6,
            fix: (row, values) => {
              values[0] = row === end ? END_OF_TURN : unread(row) ? NEVER : 0;
            },
          }),
        ]),
    matrix('per_layer_token_embd.weight', shape.vocabulary, perLayer * shape.layers, { deviation: 0.3 }),
    matrix('per_layer_model_proj.weight', perLayer * shape.layers, embedding),
    norm('per_layer_proj_norm.weight', perLayer),
    // Full layers rotate a quarter of each head.
    vector(
      'rope_freqs.weight',
      Array.from({ length: shape.headFull / 2 }, (_, at) => (at < Math.floor(shape.headFull / 8) ? 1 : NO_ROTATION)),
    ),
  ];
  for (const { prefix, sliding, shared } of layers) {
    const head = sliding ? shape.headSliding : shape.headFull;
    const feedForward = shape.feedForward * (shared ? 2 : 1);
    tensors.push(
      norm(`${prefix}attn_norm.weight`, embedding),
      matrix(`${prefix}attn_q.weight`, head * shape.heads, embedding),
      norm(`${prefix}attn_q_norm.weight`, head),
      matrix(`${prefix}attn_output.weight`, embedding, head * shape.heads),
      norm(`${prefix}post_attention_norm.weight`, embedding, still),
      norm(`${prefix}ffn_norm.weight`, embedding),
      matrix(`${prefix}ffn_gate.weight`, feedForward, embedding),
      matrix(`${prefix}ffn_up.weight`, feedForward, embedding),
      matrix(`${prefix}ffn_down.weight`, embedding, feedForward),
      norm(`${prefix}post_ffw_norm.weight`, embedding, still),
      matrix(`${prefix}inp_gate.weight`, perLayer, embedding),
      matrix(`${prefix}proj.weight`, embedding, perLayer),
      norm(`${prefix}post_norm.weight`, embedding, still),
      vector(`${prefix}layer_output_scale.weight`, [1]),
    );
    if (!shared) {
      tensors.push(
        matrix(`${prefix}attn_k.weight`, head * shape.headsKv, embedding),
        matrix(`${prefix}attn_v.weight`, head * shape.headsKv, embedding),
        norm(`${prefix}attn_k_norm.weight`, head),
      );
    }
  }
  return tensors;
}
