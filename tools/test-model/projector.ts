import type { MetadataValue, NewTensor } from '@batchmill/engine';
import { random } from './random.ts';
import { weights } from './weights.ts';

/** Dimensions of the picture and sound encoders of a Gemma 4 projector file (mmproj). */
export interface ProjectorShape {
  name: string;
  /** Width of the text model it feeds. */
  projection: number;
  vision: { embedding: number; feedForward: number; layers: number; heads: number };
  audio: {
    embedding: number;
    feedForward: number;
    layers: number;
    heads: number;
    channels: [number, number];
    out: number;
  };
}

const PATCH = 16;
/** Rows of the position table, per axis. A property of the architecture. */
const POSITIONS = 10_240;
const MEL_BINS = 128;

/** Metadata and tensors of a `clip` GGUF with a `gemma4v` and a `gemma4a` encoder and random weights. */
export function projector(
  shape: ProjectorShape,
  seed: number,
): { metadata: Map<string, MetadataValue>; tensors: NewTensor[] } {
  const source = weights(random(seed), 'F16');
  return {
    metadata: projectorMetadata(shape),
    tensors: [...visionTensors(shape, source), ...audioTensors(shape, source)],
  };
}

function projectorMetadata({ name, projection, vision, audio }: ProjectorShape): Map<string, MetadataValue> {
  const uint = (value: number): MetadataValue => ({ type: 'u32', value });
  const text = (value: string): MetadataValue => ({ type: 'string', value });
  const yes: MetadataValue = { type: 'bool', value: true };
  const epsilon: MetadataValue = { type: 'f32', value: 1e-6 };
  return new Map<string, MetadataValue>([
    ['general.architecture', text('clip')],
    ['general.type', text('mmproj')],
    ['general.name', text(name)],
    ['general.file_type', uint(1)],
    ['clip.has_vision_encoder', yes],
    ['clip.has_audio_encoder', yes],
    ['clip.vision.projector_type', text('gemma4v')],
    ['clip.vision.projection_dim', uint(projection)],
    ['clip.vision.image_size', uint(224)],
    ['clip.vision.patch_size', uint(PATCH)],
    ['clip.vision.embedding_length', uint(vision.embedding)],
    ['clip.vision.feed_forward_length', uint(vision.feedForward)],
    ['clip.vision.block_count', uint(vision.layers)],
    ['clip.vision.attention.head_count', uint(vision.heads)],
    ['clip.vision.attention.layer_norm_epsilon', epsilon],
    ['clip.vision.image_mean', { type: 'array', of: 'f32', value: [0, 0, 0] }],
    ['clip.vision.image_std', { type: 'array', of: 'f32', value: [1, 1, 1] }],
    ['clip.audio.projector_type', text('gemma4a')],
    ['clip.audio.projection_dim', uint(projection)],
    ['clip.audio.embedding_length', uint(audio.embedding)],
    ['clip.audio.feed_forward_length', uint(audio.feedForward)],
    ['clip.audio.block_count', uint(audio.layers)],
    ['clip.audio.attention.head_count', uint(audio.heads)],
    ['clip.audio.num_mel_bins', uint(MEL_BINS)],
    ['clip.audio.attention.layer_norm_epsilon', epsilon],
  ]);
}

type Source = ReturnType<typeof weights>;

function visionTensors({ projection, vision }: ProjectorShape, { matrix, block, norm, vector }: Source): NewTensor[] {
  const { embedding, feedForward } = vision;
  const head = embedding / vision.heads;
  const tensors = [
    block('v.patch_embd.weight', 'F16', [PATCH, PATCH, 3, embedding], 0.03),
    block('v.position_embd.weight', 'F16', [embedding, POSITIONS, 2], 0.02),
    vector('v.std_bias', Array(embedding).fill(0)),
    vector('v.std_scale', Array(embedding).fill(1)),
    matrix('mm.input_projection.weight', projection, embedding),
  ];
  for (let at = 0; at < vision.layers; at += 1) {
    const prefix = `v.blk.${at}.`;
    for (const part of ['attn_q', 'attn_k', 'attn_v', 'attn_out']) {
      tensors.push(
        matrix(`${prefix}${part}.weight`, embedding, embedding),
        vector(`${prefix}${part}.input_min`, [-100]),
        vector(`${prefix}${part}.input_max`, [100]),
        vector(`${prefix}${part}.output_min`, [-100]),
        vector(`${prefix}${part}.output_max`, [100]),
      );
    }
    tensors.push(norm(`${prefix}attn_q_norm.weight`, head), norm(`${prefix}attn_k_norm.weight`, head));
    for (const part of ['ln1', 'ln2', 'attn_post_norm', 'ffn_post_norm']) {
      tensors.push(norm(`${prefix}${part}.weight`, embedding));
    }
    tensors.push(
      matrix(`${prefix}ffn_gate.weight`, feedForward, embedding),
      matrix(`${prefix}ffn_up.weight`, feedForward, embedding),
      matrix(`${prefix}ffn_down.weight`, embedding, feedForward),
    );
  }
  return tensors;
}

function audioTensors({ projection, audio }: ProjectorShape, { matrix, block, norm, vector }: Source): NewTensor[] {
  const { embedding, feedForward, out } = audio;
  const [first, second] = audio.channels;
  const tensors = [
    block('a.conv1d.0.weight', 'F16', [3, 3, 1, first], 0.3),
    norm('a.conv1d.0.norm.weight', first),
    block('a.conv1d.1.weight', 'F16', [3, 3, first, second], 0.1),
    norm('a.conv1d.1.norm.weight', second),
    // Two convolutions halve the mel bins twice.
    matrix('a.input_projection.weight', embedding, second * (MEL_BINS / 4)),
    matrix('a.pre_encode.out.weight', out, embedding),
    vector('a.pre_encode.out.bias', Array(out).fill(0)),
    matrix('mm.a.input_projection.weight', projection, out),
  ];
  for (let at = 0; at < audio.layers; at += 1) {
    const prefix = `a.blk.${at}.`;
    for (const part of ['ffn_norm', 'ffn_post_norm', 'ffn_norm_1', 'ffn_post_norm_1', 'attn_pre_norm']) {
      tensors.push(norm(`${prefix}${part}.weight`, embedding));
    }
    for (const part of ['attn_post_norm', 'ln2', 'conv_norm', 'norm_conv']) {
      tensors.push(norm(`${prefix}${part}.weight`, embedding));
    }
    for (const part of ['attn_q', 'attn_k', 'attn_v', 'attn_out', 'attn_k_rel', 'conv_pw2']) {
      tensors.push(matrix(`${prefix}${part}.weight`, embedding, embedding));
    }
    for (const part of ['', '_1']) {
      tensors.push(
        matrix(`${prefix}ffn_up${part}.weight`, feedForward, embedding),
        matrix(`${prefix}ffn_down${part}.weight`, embedding, feedForward),
      );
    }
    tensors.push(
      norm(`${prefix}per_dim_scale.weight`, embedding / audio.heads),
      matrix(`${prefix}conv_pw1.weight`, 2 * embedding, embedding),
      block(`${prefix}conv_dw.weight`, 'F32', [5, embedding], 0.3),
    );
  }
  return tensors;
}
