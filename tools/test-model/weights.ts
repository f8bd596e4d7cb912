import type { NewTensor, TensorTypeName } from '@batchmill/engine';
import type { Random } from './random.ts';

/** How matrices may be stored. */
export type StoredType = Extract<TensorTypeName, 'F32' | 'F16' | 'Q4_0'>;

/** Kinds of tensors, all filled from one seeded stream in the order they are asked for. */
export interface Weights {
  /** `rows` × `columns`, normally distributed. `fix` may change a row before it is stored (not for Q4_0). */
  matrix(name: string, rows: number, columns: number, options?: MatrixOptions): NewTensor;
  /** Normally distributed, of any shape. Innermost dimension first. */
  block(name: string, type: 'F32' | 'F16', shape: readonly number[], deviation: number): NewTensor;
  /** Weights of a norm: about 1. `silent` dimensions are 0. */
  norm(name: string, size: number, silent?: readonly number[]): NewTensor;
  vector(name: string, values: readonly number[]): NewTensor;
}

export interface MatrixOptions {
  /** Standard deviation; 1 / √columns unless given, which keeps activations at the size they came in. */
  deviation?: number;
  /** Rows that are all zero. */
  silent?: (row: number) => boolean;
  fix?: (row: number, values: Float32Array) => void;
}

/** @param type how matrices are stored; norms and other vectors are always F32, as llama.cpp wants them. */
export function weights(source: Random, type: StoredType): Weights {
  const vector = (name: string, values: readonly number[]): NewTensor => ({
    name,
    type: 'F32',
    shape: [values.length],
    data: () => [bytesOf(Float32Array.from(values))],
  });
  return {
    matrix(name, rows, columns, options = {}) {
      const deviation = options.deviation ?? 1 / Math.sqrt(columns);
      return {
        name,
        type,
        shape: [columns, rows],
        data: () =>
          type === 'Q4_0'
            ? quantizedRows(source, rows, columns, deviation, options.silent)
            : plainRows(source, type, rows, columns, deviation, options),
      };
    },
    block(name, stored, shape, deviation) {
      const columns = shape[0] ?? 0;
      const rows = shape.slice(1).reduce((product, n) => product * n, 1);
      return { name, type: stored, shape, data: () => plainRows(source, stored, rows, columns, deviation, {}) };
    },
    norm(name, size, silent = []) {
      const values = Array.from({ length: size }, () => 1 + source.normal(0.05));
      for (const dimension of silent) values[dimension] = 0;
      return vector(name, values);
    },
    vector,
  };
}

function* plainRows(
  source: Random,
  type: 'F32' | 'F16',
  rows: number,
  columns: number,
  deviation: number,
  options: MatrixOptions,
): Iterable<Uint8Array> {
  for (let row = 0; row < rows; row += 1) {
    const values = new Float32Array(columns);
    if (!options.silent?.(row)) for (let at = 0; at < columns; at += 1) values[at] = source.normal(deviation);
    options.fix?.(row, values);
    yield bytesOf(type === 'F32' ? values : Float16Array.from(values));
  }
}

/** The standard deviation of what `QUANTS` makes of uniform random bytes, in units of a block's scale. */
const QUANT_DEVIATION = Math.sqrt((2 * 140) / 16);
/** A random byte as two 4-bit weights, 0 (−8, which has no positive partner) replaced by 8 (no weight): the mean is 0. */
const QUANTS = Uint8Array.from({ length: 256 }, (_, byte) => ((byte >> 4 || 8) << 4) | (byte & 15 || 8));

/** Q4_0: of 32 weights the scale as F16, then 16 bytes of two weights each, 8 standing for 0. */
function* quantizedRows(
  source: Random,
  rows: number,
  columns: number,
  deviation: number,
  silent?: (row: number) => boolean,
): Iterable<Uint8Array> {
  const blocks = columns / 32;
  const scale = bytesOf(Float16Array.of(deviation / QUANT_DEVIATION));
  const none = new Uint8Array(2);
  const rowsAtOnce = Math.max(1, Math.floor(1_048_576 / (blocks * 18)));
  for (let first = 0; first < rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - first);
    const bytes = new Uint8Array(count * blocks * 18);
    let at = 0;
    for (let row = first; row < first + count; row += 1) {
      const rowScale = silent?.(row) ? none : scale;
      for (let block = 0; block < blocks; block += 1) {
        bytes.set(rowScale, at);
        at += 2;
        for (let word = 0; word < 4; word += 1) {
          const bits = source.uint32();
          for (let shift = 0; shift < 32; shift += 8) {
            bytes[at] = QUANTS[(bits >>> shift) & 255] ?? 0;
            at += 1;
          }
        }
      }
    }
    yield bytes;
  }
}

function bytesOf(values: Float32Array | Float16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
