import { GgufError } from './bytes.ts';
import { type Gguf, readGguf } from './read.ts';

/** What Batchmill needs to know of a model before any engine loads it. */
export interface ModelDescription {
  path: string;
  fileBytes: number;
  /** `gemma4`, `qwen3`, …; `clip` for a projector. */
  architecture: string;
  /** `general.name`; null when the file has none. */
  name: string | null;
  /** Of all tensors together. */
  parameters: number;
  /** The type most of the weights have, e.g. `Q4_0`. */
  quantization: string;
  /** The context the model was trained for, in tokens; null for a projector. */
  contextLength: number | null;
  embeddingLength: number | null;
  blockCount: number | null;
  /** `tokenizer.chat_template`; null when the file has none. */
  chatTemplate: string | null;
  /** Texts of the tokens that begin and end a sequence. */
  bosToken: string | null;
  eosToken: string | null;
  /** The tokenizer puts BOS in front of every prompt itself. */
  addsBos: boolean;
  vocabularySize: number;
  /**
   * Texts that must not get into a prompt from outside: control tokens, and of the user-defined tokens those with a role
   * in a conversation. One list per description: `renderPrompt` caches by its identity.
   */
  controlTokens: readonly string[];
  /** Token ids of `controlTokens`. */
  controlTokenIds: ReadonlyMap<string, number>;
  /** The file is a projector (mmproj), to be loaded beside a text model. */
  isMmproj: boolean;
  /** Text model and projector in one file, as Ollama packs them: llama.cpp loads no such file as a text model. */
  combined: boolean;
  /** The file has a projector that reads pictures. */
  image: boolean;
  /** The file has a projector that reads recordings. */
  audio: boolean;
}

/** Token types of `tokenizer.ggml.token_type` (llama.h, `llama_token_type`). */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** Tokens that llama.cpp takes for control tokens by their text, whatever their type (llama-vocab.cpp, v0.4.0). */
const CONTROL_BY_TEXT = new Set([
  ...['<|eot_id|>', '<|im_end|>', '<|end|>', '<end_of_turn>', '<|endoftext|>', '<|end_of_text|>', '<EOT>', '_<EOT>'],
  ...[
    '[EOT]',
    '[EOS]',
    '<｜end▁of▁sentence｜>',
    '<end_of_utterance>',
    '<|eom_id|>',
    '<|return|>',
    '<|call|>',
    '<|calls|>',
  ],
  ...[
    '<|flush|>',
    '</s>',
    '<eos>',
    '<turn|>',
    '<|tool_response>',
    '[e~[',
    '<|fim_prefix|>',
    '<fim-prefix>',
    '<fim_prefix>',
  ],
  ...['<｜fim▁begin｜>', '<PRE>', '▁<PRE>', '<|code_prefix|>', '<|prefix|>', '<|fim_suffix|>', '<fim-suffix>'],
  ...['<fim_suffix>', '<｜fim▁hole｜>', '<SUF>', '▁<SUF>', '<|code_suffix|>', '<|suffix|>', '<|fim_middle|>'],
  ...[
    '<fim-middle>',
    '<fim_middle>',
    '<｜fim▁end｜>',
    '<MID>',
    '▁<MID>',
    '<|code_middle|>',
    '<|middle|>',
    '<|fim_pad|>',
  ],
  ...[
    '<fim-pad>',
    '<fim_pad>',
    '<PAD>',
    '[PAD]',
    '<|fim_repo|>',
    '<|repo_name|>',
    '<fim-repo>',
    '<REPO>',
    '<reponame>',
  ],
  ...['<|file_sep|>', '<|channel|>', '<|message|>', '<|start|>', '<|constrain|>'],
]);

/**
 * Reads, checks and describes a model file.
 * @throws GgufError when it is no whole, well-formed GGUF, or when its numbers cannot be a model's.
 */
export function describeModel(path: string): ModelDescription {
  const gguf = readGguf(path);
  const architecture = gguf.text('general.architecture');
  if (architecture === null) throw new GgufError(`${path} names no architecture: it is not a model`);
  if (gguf.tensors.length === 0) throw new GgufError(`${path} holds no weights`);
  const isMmproj = architecture === 'clip';
  if (!isMmproj) checkShape(gguf, architecture);

  const chatTemplate = gguf.text('tokenizer.chat_template');
  const vocabulary = readVocabulary(gguf, chatTemplate ?? '');
  const tokenText = (id: number | null) => (id === null ? null : (vocabulary.texts.get(id) ?? null));
  return {
    path,
    fileBytes: gguf.fileBytes,
    architecture,
    name: gguf.text('general.name'),
    parameters: gguf.tensors.reduce((sum, tensor) => sum + elements(tensor.shape), 0),
    quantization: commonType(gguf),
    contextLength: gguf.number(`${architecture}.context_length`),
    embeddingLength: gguf.number(`${architecture}.embedding_length`),
    blockCount: gguf.number(`${architecture}.block_count`),
    chatTemplate,
    bosToken: tokenText(tokenId(gguf, 'bos')),
    eosToken: tokenText(tokenId(gguf, 'eos')),
    addsBos: addsBos(gguf),
    vocabularySize: gguf.array('tokenizer.ggml.tokens')?.length ?? 0,
    controlTokens: [...vocabulary.control.keys()],
    controlTokenIds: vocabulary.control,
    isMmproj,
    combined: isCombined(gguf),
    image: gguf.flag('clip.has_vision_encoder') ?? false,
    audio: gguf.flag('clip.has_audio_encoder') ?? false,
  };
}

/** Text model and projector in one file (`splitModel` separates them). */
export function isCombined(gguf: Gguf): boolean {
  const encoders = gguf.tensors.some(({ name }) => /^(?:v|a)\.blk\./.test(name));
  return encoders && gguf.text('general.architecture') !== 'clip';
}

/** Null when the file gives none and its tokenizer has no default. */
function tokenId(gguf: Gguf, token: 'bos' | 'eos'): number | null {
  const given = gguf.number(`tokenizer.ggml.${token}_token_id`);
  return given ?? (gguf.text('tokenizer.ggml.model') === 'llama' ? { bos: 1, eos: 2 }[token] : null);
}

/** As llama.cpp v0.4.0 decides it (llama-vocab.cpp): an explicit switch wins, except with Gemma 4, which must have BOS. */
function addsBos(gguf: Gguf): boolean {
  const model = gguf.text('tokenizer.ggml.model') ?? '';
  const flag = gguf.flag('tokenizer.ggml.add_bos_token');
  if (model === 'gemma4') return true;
  return flag ?? (['llama', 'bert'].includes(model) || PRE_WITH_BOS.has(gguf.text('tokenizer.ggml.pre') ?? ''));
}

const PRE_WITH_BOS = new Set([
  ...['llama3', 'llama-v3', 'llama-bpe', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2', 'jina-v5-nano'],
  ...['tekken', 'chameleon'],
]);

function readVocabulary(gguf: Gguf, template: string): { texts: Map<number, string>; control: Map<string, number> } {
  const types = gguf.numbers('tokenizer.ggml.token_type') ?? [];
  const special = new Set([tokenId(gguf, 'bos'), tokenId(gguf, 'eos')]);
  const byText = new Set([...CONTROL_BY_TEXT].map((text) => Buffer.byteLength(text)));
  const texts = new Map<number, string>();
  const control = new Map<string, number>();
  const found = gguf.texts('tokenizer.ggml.tokens', (utf8, index) => {
    const type = types[index];
    if (type === UNKNOWN || type === CONTROL || type === USER_DEFINED || special.has(index)) return true;
    return byText.has(utf8.length) && MARKUP_BYTES.has(utf8[0] ?? 0);
  });
  for (const [index, text] of found) {
    texts.set(index, text);
    const type = types[index];
    const speaks =
      type === USER_DEFINED && (/^<\|.*>$|^<.*\|>$/su.test(text) || (text.length > 1 && template.includes(text)));
    if (type === UNKNOWN || type === CONTROL || speaks || CONTROL_BY_TEXT.has(text)) {
      // Runs of blanks are tokens of their own in some vocabularies, and no control tokens.
      if (text.trim() !== '' && !control.has(text)) control.set(text, index);
    }
  }
  return { texts, control };
}

/** First bytes that texts of `CONTROL_BY_TEXT` have. */
const MARKUP_BYTES = new Set([...CONTROL_BY_TEXT].map((text) => Buffer.from(text)[0] ?? 0));

/** The numbers llama.cpp builds its caches from. It believes them, and ends the process on what makes no sense. */
function checkShape(gguf: Gguf, architecture: string): void {
  const wrong = (what: string) => new GgufError(`${gguf.path} is damaged: ${what}`);
  const positive = (key: string, most: number): number | null => {
    const value = gguf.number(`${architecture}.${key}`);
    if (value === null) return null;
    if (!Number.isInteger(value) || value < 1 || value > most) throw wrong(`"${architecture}.${key}" is ${value}`);
    return value;
  };
  positive('context_length', 2 ** 31 - 1);
  positive('embedding_length', 2 ** 20);
  const blocks = positive('block_count', 10_000);
  if (blocks === null) throw wrong(`it lacks "${architecture}.block_count"`);

  for (const key of ['attention.key_length', 'attention.value_length']) {
    positive(key, 2 ** 16);
    positive(`${key}_swa`, 2 ** 16);
  }
  // Positions are turned in pairs of dimensions. With none llama.cpp hangs, with half a pair it aborts.
  for (const key of ['rope.dimension_count', 'rope.dimension_count_swa']) {
    const dimensions = positive(key, 2 ** 16);
    if (dimensions !== null && dimensions % 2 !== 0) throw wrong(`"${architecture}.${key}" is ${dimensions}`);
  }

  for (const key of ['attention.head_count', 'attention.head_count_kv', 'feed_forward_length']) {
    const value = gguf.metadata.get(`${architecture}.${key}`);
    if (typeof value === 'object') {
      const list = gguf.numbers(`${architecture}.${key}`) ?? [];
      const sane = list.every((entry) => Number.isInteger(entry) && entry >= 0 && entry <= 2 ** 24);
      if (list.length < blocks || !sane) throw wrong(`"${architecture}.${key}" does not fit ${blocks} blocks`);
    } else if (value !== undefined) {
      const number = gguf.number(`${architecture}.${key}`) ?? -1;
      if (!Number.isInteger(number) || number < 0 || number > 2 ** 24)
        throw wrong(`"${architecture}.${key}" is ${number}`);
    }
  }
  const tokens = gguf.array('tokenizer.ggml.tokens');
  const types = gguf.array('tokenizer.ggml.token_type');
  const scores = gguf.array('tokenizer.ggml.scores');
  if (tokens !== null && tokens.element === 'string') {
    for (const list of [types, scores]) {
      if (list !== null && list.length !== tokens.length) throw wrong('its lists of tokens differ in length');
    }
  }
  if (architecture === 'gemma4') checkSharedLayers(gguf, blocks);
}

/**
 * Gemma 4's last layers have no cache of their own but use those of the last two layers that have: the first of these must
 * be a sliding one and the second a full one (the KV cache of llama.cpp asserts it).
 */
function checkSharedLayers(gguf: Gguf, blocks: number): void {
  const shared = gguf.number('gemma4.attention.shared_kv_layers') ?? 0;
  const key = 'gemma4.attention.sliding_window_pattern';
  const pattern = gguf.metadata.get(key);
  if (shared === 0 || typeof pattern !== 'object') return;
  const sliding = gguf.numbers(key) ?? [];
  const own = blocks - shared;
  if (sliding.length < blocks || own < 2 || sliding[own - 1] !== 0 || sliding[own - 2] === 0) {
    throw new GgufError(`${gguf.path} is damaged: its layers cannot share their caches as they say`);
  }
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

function commonType(gguf: Gguf): string {
  const bytes = new Map<string, number>();
  for (const tensor of gguf.tensors) {
    bytes.set(tensor.type.name, (bytes.get(tensor.type.name) ?? 0) + elements(tensor.shape));
  }
  return [...bytes].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'F32';
}
