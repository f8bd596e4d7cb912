import { Bytes, GgufError } from './bytes.ts';
import { TENSOR_TYPES, type TensorType, VALUE_BYTES, VALUE_TYPES, type ValueType } from './types.ts';

export interface Tensor {
  name: string;
  /** Innermost dimension first, as ggml counts. */
  shape: number[];
  type: TensorType;
  /** From the start of the file. */
  offset: number;
  bytes: number;
}

/** An array stays in the file until it is asked for: a vocabulary has hundreds of thousands of entries. */
export interface GgufArray {
  element: Exclude<ValueType, 'array'>;
  length: number;
  offset: number;
}

/** A stretch of the file. */
export interface GgufRange {
  offset: number;
  bytes: number;
}

export type GgufValue = number | bigint | boolean | string | GgufArray;

/** Longest single text, in bytes: chat templates have some ten thousand. */
const LONGEST_TEXT = 16 << 20;
const LONGEST_LISTED_TEXT = 1 << 20;
const LONGEST_KEY = 65_535;
/** llama.cpp's limits (GGML_MAX_NAME with its final zero, GGML_MAX_DIMS). */
const LONGEST_TENSOR_NAME = 63;
const MOST_DIMENSIONS = 4;
/** Far above any model, and few enough to hold. */
const MOST_ENTRIES = 1_000_000;
const LONGEST_LIST = 50_000_000;

/** A GGUF's header. Everything in it was checked: what llama.cpp would trip over is a `GgufError` here. */
export class Gguf {
  readonly path: string;
  readonly fileBytes: number;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Where each metadata value stands, its type before it. */
  readonly ranges: ReadonlyMap<string, GgufRange>;
  readonly tensors: readonly Tensor[];

  constructor(parts: Pick<Gguf, 'path' | 'fileBytes' | 'version' | 'metadata' | 'ranges' | 'tensors'>) {
    this.path = parts.path;
    this.fileBytes = parts.fileBytes;
    this.version = parts.version;
    this.metadata = parts.metadata;
    this.ranges = parts.ranges;
    this.tensors = parts.tensors;
  }

  /** Null when absent. @throws GgufError when it is of another type. */
  text(key: string): string | null {
    const value = this.metadata.get(key) ?? null;
    if (value === null || typeof value === 'string') return value;
    throw this.#mistyped(key, 'a text');
  }

  /** Null when absent. @throws GgufError when it is of another type. */
  number(key: string): number | null {
    const value = this.metadata.get(key) ?? null;
    if (value === null || typeof value === 'number') return value;
    throw this.#mistyped(key, 'a number');
  }

  /** Null when absent. @throws GgufError when it is of another type. */
  flag(key: string): boolean | null {
    const value = this.metadata.get(key) ?? null;
    if (value === null || typeof value === 'boolean') return value;
    throw this.#mistyped(key, 'true or false');
  }

  /** Null when absent. @throws GgufError when it is of another type. */
  array(key: string): GgufArray | null {
    const value = this.metadata.get(key) ?? null;
    if (value === null || typeof value === 'object') return value;
    throw this.#mistyped(key, 'a list');
  }

  /** The numbers (or truth values, as 0 and 1) of a list; null when absent. @throws GgufError when it is none. */
  numbers(key: string): number[] | null {
    const array = this.array(key);
    if (array === null) return null;
    const { element } = array;
    if (element === 'string') throw this.#mistyped(key, 'a list of numbers');
    return this.#reading(array, (bytes) => Array.from({ length: array.length }, () => Number(scalar(bytes, element))));
  }

  /** The texts of a list that `wanted` picks, each with its index. Texts not picked are passed over without decoding. */
  texts(key: string, wanted: (utf8: Buffer, index: number) => boolean): [number, string][] {
    const array = this.array(key);
    if (array === null) return [];
    if (array.element !== 'string') throw this.#mistyped(key, 'a list of texts');
    return this.#reading(array, (bytes) => {
      const found: [number, string][] = [];
      for (let index = 0; index < array.length; index += 1) {
        const utf8 = bytes.take(bytes.length(`a text of "${key}"`));
        if (wanted(utf8, index)) found.push([index, utf8.toString('utf8')]);
      }
      return found;
    });
  }

  /** A metadata value as the file has it, its type before it; null when absent. */
  raw(key: string): Buffer | null {
    const range = this.ranges.get(key);
    return range === undefined ? null : this.#reading(range, (bytes) => bytes.take(range.bytes));
  }

  /** All of a tensor's data: for small ones. */
  data(tensor: Tensor): Buffer {
    return this.#reading(tensor, (bytes) => bytes.take(tensor.bytes));
  }

  #reading<T>({ offset }: { offset: number }, read: (bytes: Bytes) => T): T {
    const bytes = new Bytes(this.path);
    try {
      bytes.seek(offset);
      return read(bytes);
    } finally {
      bytes.close();
    }
  }

  #mistyped(key: string, what: string): GgufError {
    return new GgufError(`${this.path} is damaged: "${key}" is not ${what}`);
  }
}

/**
 * Reads and checks the header of a GGUF file, versions 2 and 3 (docs/gguf.md of ggml). Reads no tensor data.
 * @throws GgufError for everything that is not a whole, well-formed GGUF.
 */
export function readGguf(path: string): Gguf {
  const bytes = new Bytes(path);
  try {
    return readHeader(bytes);
  } finally {
    bytes.close();
  }
}

function readHeader(bytes: Bytes): Gguf {
  const damaged = (what: string) => new GgufError(`${bytes.path} is damaged: ${what}`);
  if (bytes.size < 24 || bytes.take(4).toString('latin1') !== 'GGUF') {
    throw new GgufError(`${bytes.path} is not a GGUF file`);
  }
  const version = bytes.u32();
  if (version !== 2 && version !== 3) {
    const swapped = version > 0xffff ? ' (written for big-endian machines)' : '';
    throw new GgufError(`${bytes.path} is a GGUF of version ${version}${swapped}; versions 2 and 3 are read`);
  }
  const tensorCount = count(bytes, 'the number of tensors', 24);
  const valueCount = count(bytes, 'the number of metadata values', 13);

  const metadata = new Map<string, GgufValue>();
  const ranges = new Map<string, GgufRange>();
  for (let index = 0; index < valueCount; index += 1) {
    const key = bytes.text('a metadata key', LONGEST_KEY);
    if (key === '' || metadata.has(key)) throw damaged(`the metadata key "${key}" is empty or there twice`);
    const offset = bytes.position;
    metadata.set(key, readValue(bytes, key));
    ranges.set(key, { offset, bytes: bytes.position - offset });
  }

  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || !(alignment > 0 && Number.isInteger(Math.log2(alignment)))) {
    throw damaged('its alignment is not a power of two');
  }
  const infos: Tensor[] = [];
  const names = new Set<string>();
  let end = 0;
  for (let index = 0; index < tensorCount; index += 1) {
    const tensor = readTensor(bytes);
    if (names.has(tensor.name)) throw damaged(`the tensor "${tensor.name}" is there twice`);
    names.add(tensor.name);
    // llama.cpp takes tensors only back to back.
    if (tensor.offset !== end) throw damaged(`the tensor "${tensor.name}" is not where it should be`);
    end += aligned(tensor.bytes, alignment);
    infos.push(tensor);
  }
  const start = aligned(bytes.position, alignment);
  const tensors = infos.map((tensor) => ({ ...tensor, offset: start + tensor.offset }));
  const last = tensors.at(-1);
  if (last !== undefined && last.offset + last.bytes > bytes.size) throw bytes.cutOff();
  return new Gguf({ path: bytes.path, fileBytes: bytes.size, version, metadata, ranges, tensors });
}

/** @param least bytes that each entry takes in the file. */
function count(bytes: Bytes, what: string, least: number): number {
  const number = bytes.length(what);
  if (number > MOST_ENTRIES || number * least > bytes.size) {
    throw new GgufError(`${bytes.path} is damaged or cut off: ${what} cannot be ${number}`);
  }
  return number;
}

function readValue(bytes: Bytes, key: string): GgufValue {
  const type = valueType(bytes, key);
  if (type === 'string') return bytes.text(`"${key}"`, LONGEST_TEXT);
  if (type !== 'array') return scalar(bytes, type);

  const element = valueType(bytes, key);
  if (element === 'array') throw new GgufError(`${bytes.path} is damaged: "${key}" is a list of lists`);
  const length = bytes.length(`the length of "${key}"`);
  if (length > LONGEST_LIST) throw new GgufError(`${bytes.path} is damaged: "${key}" has ${length} entries`);
  const array: GgufArray = { element, length, offset: bytes.position };
  if (element === 'string') {
    for (let index = 0; index < length; index += 1) {
      const text = bytes.length(`the length of a text in "${key}"`);
      if (text > LONGEST_LISTED_TEXT)
        throw new GgufError(`${bytes.path} is damaged: a text in "${key}" has ${text} bytes`);
      bytes.skip(text);
    }
  } else {
    bytes.skip(length * VALUE_BYTES[element]);
  }
  return array;
}

function valueType(bytes: Bytes, key: string): ValueType {
  const number = bytes.u32();
  const type = VALUE_TYPES[number];
  if (type === undefined) throw new GgufError(`${bytes.path} is damaged: "${key}" has the unknown type ${number}`);
  return type;
}

function scalar(bytes: Bytes, type: Exclude<ValueType, 'string' | 'array'>): number | bigint | boolean {
  const raw = bytes.take(VALUE_BYTES[type]);
  switch (type) {
    case 'u8':
      return raw.readUInt8();
    case 'i8':
      return raw.readInt8();
    case 'u16':
      return raw.readUInt16LE();
    case 'i16':
      return raw.readInt16LE();
    case 'u32':
      return raw.readUInt32LE();
    case 'i32':
      return raw.readInt32LE();
    case 'f32':
      return raw.readFloatLE();
    case 'bool':
      return raw.readUInt8() !== 0;
    case 'u64':
      return small(raw.readBigUInt64LE());
    case 'i64':
      return small(raw.readBigInt64LE());
    case 'f64':
      return raw.readDoubleLE();
  }
}

function small(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** With the offset as the file has it: from the start of the tensor data. */
function readTensor(bytes: Bytes): Tensor {
  const name = bytes.text('a tensor name', LONGEST_TENSOR_NAME);
  const damaged = (what: string) => new GgufError(`${bytes.path} is damaged: the tensor "${name}" ${what}`);
  const dimensions = bytes.u32();
  if (dimensions > MOST_DIMENSIONS) throw damaged(`has ${dimensions} dimensions`);
  const shape = Array.from({ length: dimensions }, () => Number(bytes.take(8).readBigUInt64LE()));
  const number = bytes.u32();
  const type = TENSOR_TYPES.get(number);
  if (type === undefined) {
    throw damaged(`has the type ${number}, unknown to this llama.cpp: the file may be newer than Batchmill`);
  }
  const elements = shape.reduce((product, side) => product * side, 1);
  const size = (elements / type.block) * type.bytes;
  // Zero elements are allowed by the format, but no model has such a tensor, and llama.cpp divides by sides.
  if (!(size > 0 && Number.isSafeInteger(size))) throw damaged(`has the impossible shape [${shape.join(', ')}]`);
  if ((shape[0] ?? 1) % type.block !== 0) throw damaged(`has rows that are not whole blocks of ${type.name}`);
  const offset = Number(bytes.take(8).readBigUInt64LE());
  return { name, shape, type, offset, bytes: size };
}

function aligned(position: number, alignment: number): number {
  return Math.ceil(position / alignment) * alignment;
}
