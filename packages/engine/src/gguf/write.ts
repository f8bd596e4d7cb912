import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Tensor } from './read.ts';
import { type TensorTypeName, tensorType, VALUE_TYPES, type ValueType } from './types.ts';

export type MetadataValue =
  | { type: 'u32' | 'i32' | 'f32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'array'; of: 'i32' | 'f32'; value: readonly number[] }
  | { type: 'array'; of: 'bool'; value: readonly boolean[] }
  | { type: 'array'; of: 'string'; value: readonly string[] }
  /** A value as another file has it (`Gguf.raw`), its type before it. */
  | { type: 'raw'; value: Uint8Array };

/** A tensor to be written. */
export interface NewTensor {
  name: string;
  type: TensorTypeName;
  /** Innermost dimension first, as ggml counts (the reverse of NumPy's shape). */
  shape: readonly number[];
  /**
   * Makes the tensor's bytes when they are due: `tensorBytes(tensor)` in all, in any number of pieces. A piece is not to be
   * changed once it is handed over.
   */
  data: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface WriteOptions {
  signal?: AbortSignal;
  /** Called as the file grows. */
  onWritten?: (bytes: number) => void;
}

const ALIGNMENT = 32;
/** Small pieces are gathered up to so many bytes, and large tensors are copied in pieces of this size. */
const PIECE = 1 << 20;

/** Size of a tensor's data. @throws Error when its rows are not whole blocks of its type. */
export function tensorBytes(tensor: Pick<NewTensor, 'name' | 'type' | 'shape'>): number {
  const { block, bytes } = tensorType(tensor.type);
  if ((tensor.shape[0] ?? 1) % block !== 0)
    throw new Error(`${tensor.name}: ${tensor.type} needs rows of a multiple of ${block}`);
  return (tensor.shape.reduce((product, side) => product * side, 1) / block) * bytes;
}

/** A tensor of another file, byte for byte, under its own name or a new one. */
export function copiedTensor(path: string, tensor: Tensor, name = tensor.name): NewTensor {
  const { offset, bytes } = tensor;
  return {
    name,
    type: tensor.type.name,
    shape: tensor.shape,
    data: () => createReadStream(path, { start: offset, end: offset + bytes - 1, highWaterMark: PIECE }),
  };
}

/** Size of the file that `writeGguf` would write. */
export function ggufBytes(metadata: ReadonlyMap<string, MetadataValue>, tensors: readonly NewTensor[]): number {
  return tensors.reduce((sum, tensor) => sum + aligned(tensorBytes(tensor)), header(metadata, tensors).length);
}

/**
 * Writes a GGUF file of version 3 (docs/gguf.md of ggml): a header, typed metadata, the table of tensors, then their data,
 * each tensor aligned to 32 bytes. Tensors are made and written one at a time, so a file of gigabytes takes little
 * memory. What was written has reached the disk when this resolves.
 * @throws Error when a tensor's data has another size than its shape says; the signal's reason.
 */
export async function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, MetadataValue>,
  tensors: readonly NewTensor[],
  options: WriteOptions = {},
): Promise<void> {
  const head = header(metadata, tensors);
  const file = await open(path, 'w');
  try {
    const sink = new FileSink(file, options);
    await sink.write(head);
    for (const tensor of tensors) {
      const expected = tensorBytes(tensor);
      let written = 0;
      for await (const piece of tensor.data()) {
        await sink.write(piece);
        written += piece.byteLength;
      }
      if (written !== expected) throw new Error(`${tensor.name}: ${written} bytes where ${expected} are due`);
      await sink.write(new Uint8Array(aligned(written) - written));
    }
    await sink.flush();
    await file.sync();
  } finally {
    await file.close();
  }
}

function header(metadata: ReadonlyMap<string, MetadataValue>, tensors: readonly NewTensor[]): Buffer {
  const head = new Header();
  head.bytes(Buffer.from('GGUF'));
  head.u32(3);
  head.u64(tensors.length);
  head.u64(metadata.size);
  for (const [key, value] of metadata) {
    head.string(key);
    head.value(value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    head.string(tensor.name);
    head.u32(tensor.shape.length);
    for (const side of tensor.shape) head.u64(side);
    head.u32(tensorType(tensor.type).number);
    head.u64(offset);
    offset += aligned(tensorBytes(tensor));
  }
  return head.padded();
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

/** Appends to a file, many small pieces at once. */
class FileSink {
  readonly #file: FileHandle;
  readonly #options: WriteOptions;
  #pieces: Uint8Array[] = [];
  #gathered = 0;

  constructor(file: FileHandle, options: WriteOptions) {
    this.#file = file;
    this.#options = options;
  }

  async write(piece: Uint8Array): Promise<void> {
    if (piece.byteLength === 0) return;
    this.#pieces.push(piece);
    this.#gathered += piece.byteLength;
    if (this.#gathered >= PIECE) await this.flush();
  }

  async flush(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const bytes = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#gathered = 0;
    if (bytes === undefined || bytes.byteLength === 0) return;
    // Unlike `write`, this goes on after a short write.
    await this.#file.writeFile(bytes);
    this.#options.onWritten?.(bytes.byteLength);
  }
}

class Header {
  readonly #pieces: Uint8Array[] = [];

  padded(): Buffer {
    const bytes = Buffer.concat(this.#pieces);
    return Buffer.concat([bytes], aligned(bytes.length));
  }

  value(value: MetadataValue): void {
    if (value.type === 'raw') {
      this.bytes(value.value);
      return;
    }
    this.#type(value.type);
    if (value.type === 'array') {
      this.#type(value.of);
      this.u64(value.value.length);
      for (const item of value.value) this.#scalar(value.of, item);
    } else {
      this.#scalar(value.type, value.value);
    }
  }

  bytes(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
  }

  u32(value: number): void {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(value);
    this.bytes(buffer);
  }

  u64(value: number): void {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64LE(BigInt(value));
    this.bytes(buffer);
  }

  string(value: string): void {
    const text = Buffer.from(value);
    this.u64(text.byteLength);
    this.bytes(text);
  }

  #type(type: ValueType): void {
    this.u32(VALUE_TYPES.indexOf(type));
  }

  #scalar(type: 'u32' | 'i32' | 'f32' | 'bool' | 'string', value: number | boolean | string): void {
    if (type === 'string') {
      this.string(String(value));
      return;
    }
    const buffer = Buffer.alloc(type === 'bool' ? 1 : 4);
    if (type === 'bool') buffer.writeUInt8(value ? 1 : 0);
    else if (type === 'f32') buffer.writeFloatLE(Number(value));
    else if (type === 'i32') buffer.writeInt32LE(Number(value));
    else buffer.writeUInt32LE(Number(value));
    this.bytes(buffer);
  }
}
