import { GgufError } from './bytes.ts';
import { type Gguf, readGguf } from './read.ts';

export interface MemoryNeeds {
  /** Tensors of the text model, in bytes. */
  weights: number;
  /** Tensors of the encoders, in bytes; 0 without. */
  projector: number;
  /** Keys and values of one slot, in bytes. */
  slot: number;
}

/** Cells are made in multiples of this (llama.cpp, `llama_model::create_memory`). */
const CELL_PAD = 256;
const BYTES_PER_VALUE = 2;

/**
 * What a model takes in the memory that holds it, beside the engine's scratch. The cache of one slot, as llama.cpp makes it in F16 and
 * without sharing among slots, is the sum over the layers that have keys of their own of
 *
 *     cells × heads of keys × (length of a key + length of a value) × 2 bytes
 *
 * with the slot's context as cells, or on sliding layers, if that is less, window + batch rounded up to 256. The last
 * `attention.shared_kv_layers` layers have none. Held against what llama-server reports by a test.
 *
 * @param batch tokens computed at once (`--ubatch-size`): 512, or the most tokens of a picture if that is more
 * @throws GgufError if a file is no GGUF or lacks the numbers
 */
export function memoryNeeds(
  path: string,
  mmproj: string | null,
  { contextTokens, batch }: { contextTokens: number; batch: number },
): MemoryNeeds {
  const gguf = readGguf(path);
  return {
    weights: tensors(gguf),
    projector: mmproj === null ? 0 : tensors(readGguf(mmproj)),
    slot: slotBytes(gguf, contextTokens, batch),
  };
}

function tensors(gguf: Gguf): number {
  return gguf.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
}

function slotBytes(gguf: Gguf, contextTokens: number, batch: number): number {
  const architecture = gguf.text('general.architecture') ?? '';
  const key = (name: string) => `${architecture}.${name}`;
  const needed = (name: string): number => {
    const value = gguf.number(key(name));
    if (value === null) throw new GgufError(`${gguf.path} does not say ${key(name)}: its cache cannot be reckoned`);
    return value;
  };
  const layers = needed('block_count');
  const own = layers - (gguf.number(key('attention.shared_kv_layers')) ?? 0);
  const heads = perLayer(gguf, key('attention.head_count'), layers);
  // A model without a number of its own for keys has a head of keys for each head.
  const keyHeads = perLayer(gguf, key('attention.head_count_kv'), layers) ?? heads;
  if (heads === null || keyHeads === null) throw new GgufError(`${gguf.path} does not say how many heads it has`);
  const byHeads = needed('embedding_length') / (heads[0] ?? 1);
  const full = [
    gguf.number(key('attention.key_length')) ?? byHeads,
    gguf.number(key('attention.value_length')) ?? byHeads,
  ];
  const sliding = [
    gguf.number(key('attention.key_length_swa')) ?? full[0] ?? 0,
    gguf.number(key('attention.value_length_swa')) ?? full[1] ?? 0,
  ];
  const window = gguf.number(key('attention.sliding_window'));
  const pattern = slidingLayers(gguf, key('attention.sliding_window_pattern'), layers, window);
  const all = pad(contextTokens);
  const few = Math.min(all, pad((window ?? 0) + batch));
  let bytes = 0;
  for (let layer = 0; layer < own; layer++) {
    const slides = pattern[layer] === true;
    const [k = 0, v = 0] = slides ? sliding : full;
    bytes += (slides ? few : all) * (keyHeads[layer] ?? 0) * (k + v) * BYTES_PER_VALUE;
  }
  return bytes;
}

/** A number for all layers, or a list with one for each; null when absent. */
function perLayer(gguf: Gguf, key: string, layers: number): number[] | null {
  const value = gguf.metadata.get(key);
  if (typeof value === 'number') return Array.from({ length: layers }, () => value);
  return value === undefined ? null : gguf.numbers(key);
}

/** Which layers slide: a truth value each, or every layer but each n-th. */
function slidingLayers(gguf: Gguf, key: string, layers: number, window: number | null): boolean[] {
  const value = gguf.metadata.get(key);
  if (window === null || window === 0 || value === undefined) return Array.from({ length: layers }, () => false);
  if (typeof value === 'number') return Array.from({ length: layers }, (_, i) => value > 0 && (i + 1) % value !== 0);
  return (gguf.numbers(key) ?? []).map((slides) => slides === 1);
}

function pad(cells: number): number {
  return Math.ceil(cells / CELL_PAD) * CELL_PAD;
}
