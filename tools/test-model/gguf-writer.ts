/**
 * Writes GGUF version 3 files (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): a header, typed metadata, the
 * table of tensors, then their data, each tensor aligned to 32 bytes. Tensors are made and written one at a time, so a
 * file of gigabytes takes little memory.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

const ALIGNMENT = 32;

const VALUE = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

type Scalar = 'uint32' | 'int32' | 'float32' | 'bool' | 'string';

export type MetadataValue =
  | { type: 'uint32' | 'int32' | 'float32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'array'; of: 'int32' | 'float32'; value: readonly number[] }
  | { type: 'array'; of: 'bool'; value: readonly boolean[] }
  | { type: 'array'; of: 'string'; value: readonly string[] };

/** Numbers of `enum ggml_type`. */
const TENSOR_TYPE = { F32: 0, F16: 1, Q4_0: 2 } as const;
export type TensorType = keyof typeof TENSOR_TYPE;

export interface Tensor {
  name: string;
  type: TensorType;
  /** Innermost dimension first, as ggml counts (the reverse of NumPy's shape). */
  dimensions: readonly number[];
  /** Makes the tensor's bytes when they are due: `tensorBytes(tensor)` in all, in any number of pieces. */
  data: () => Iterable<Uint8Array>;
}

/** Size of a tensor's data. Q4_0 keeps 32 weights in 18 bytes. */
export function tensorBytes(tensor: Pick<Tensor, 'name' | 'type' | 'dimensions'>): number {
  const elements = tensor.dimensions.reduce((product, n) => product * n, 1);
  if (tensor.type === 'F32') return elements * 4;
  if (tensor.type === 'F16') return elements * 2;
  if ((tensor.dimensions[0] ?? 0) % 32 !== 0) throw new Error(`${tensor.name}: Q4_0 needs rows of a multiple of 32`);
  return (elements / 32) * 18;
}

/** @throws Error when a tensor's data has another size than its dimensions say. */
export function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, MetadataValue>,
  tensors: readonly Tensor[],
): void {
  const head = new ByteSink();
  head.bytes(Buffer.from('GGUF'));
  head.uint32(3);
  head.uint64(tensors.length);
  head.uint64(metadata.size);
  for (const [key, value] of metadata) {
    head.string(key);
    writeValue(head, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    head.string(tensor.name);
    head.uint32(tensor.dimensions.length);
    for (const dimension of tensor.dimensions) head.uint64(dimension);
    head.uint32(TENSOR_TYPE[tensor.type]);
    head.uint64(offset);
    offset += aligned(tensorBytes(tensor));
  }
  head.pad(aligned(head.length) - head.length);

  const file = openSync(path, 'w');
  try {
    for (const piece of head.pieces()) writeSync(file, piece);
    for (const tensor of tensors) {
      const expected = tensorBytes(tensor);
      let written = 0;
      for (const piece of tensor.data()) {
        writeAll(file, piece);
        written += piece.byteLength;
      }
      if (written !== expected) throw new Error(`${tensor.name}: ${written} bytes where ${expected} are due`);
      writeAll(file, new Uint8Array(aligned(written) - written));
    }
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(file, bytes, at);
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

function writeValue(sink: ByteSink, value: MetadataValue): void {
  sink.uint32(VALUE[value.type]);
  if (value.type === 'array') {
    sink.uint32(VALUE[value.of]);
    sink.uint64(value.value.length);
    for (const item of value.value) writeScalar(sink, value.of, item);
  } else {
    writeScalar(sink, value.type, value.value);
  }
}

function writeScalar(sink: ByteSink, type: Scalar, value: number | boolean | string): void {
  if (type === 'string') sink.string(String(value));
  else if (type === 'bool') sink.bytes(Uint8Array.of(value ? 1 : 0));
  else if (type === 'float32') sink.float32(Number(value));
  else if (type === 'int32') sink.int32(Number(value));
  else sink.uint32(Number(value));
}

class ByteSink {
  length = 0;
  readonly #pieces: Uint8Array[] = [];

  bytes(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.length += bytes.byteLength;
  }

  pad(count: number): void {
    this.bytes(new Uint8Array(count));
  }

  uint32(value: number): void {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(value);
    this.bytes(buffer);
  }

  int32(value: number): void {
    const buffer = Buffer.alloc(4);
    buffer.writeInt32LE(value);
    this.bytes(buffer);
  }

  float32(value: number): void {
    const buffer = Buffer.alloc(4);
    buffer.writeFloatLE(value);
    this.bytes(buffer);
  }

  uint64(value: number): void {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64LE(BigInt(value));
    this.bytes(buffer);
  }

  string(value: string): void {
    const text = Buffer.from(value);
    this.uint64(text.byteLength);
    this.bytes(text);
  }

  pieces(): Iterable<Uint8Array> {
    return [Buffer.concat(this.#pieces)];
  }
}
