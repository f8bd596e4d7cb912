/** Value types of GGUF metadata (docs/gguf.md of ggml), by their number in the file. */
export const VALUE_TYPES = [
  ...(['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'array', 'u64', 'i64', 'f64'] as const),
];
export type ValueType = (typeof VALUE_TYPES)[number];

/** Bytes of one value. Texts and arrays have no fixed size. */
export const VALUE_BYTES: Record<Exclude<ValueType, 'string' | 'array'>, number> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  u64: 8,
  i64: 8,
  f64: 8,
};

export interface TensorType {
  name: TensorTypeName;
  /** Elements are stored in blocks of this many. */
  block: number;
  /** Bytes of one block. */
  bytes: number;
}

/** Tensor types of llama.cpp v0.4.0 (`type_traits` in ggml.c): number in the file, name, block, bytes. Gaps are types it dropped. */
const TYPES = [
  [0, 'F32', 1, 4],
  [1, 'F16', 1, 2],
  [2, 'Q4_0', 32, 18],
  [3, 'Q4_1', 32, 20],
  [6, 'Q5_0', 32, 22],
  [7, 'Q5_1', 32, 24],
  [8, 'Q8_0', 32, 34],
  [9, 'Q8_1', 32, 36],
  [10, 'Q2_K', 256, 84],
  [11, 'Q3_K', 256, 110],
  [12, 'Q4_K', 256, 144],
  [13, 'Q5_K', 256, 176],
  [14, 'Q6_K', 256, 210],
  [15, 'Q8_K', 256, 292],
  [16, 'IQ2_XXS', 256, 66],
  [17, 'IQ2_XS', 256, 74],
  [18, 'IQ3_XXS', 256, 98],
  [19, 'IQ1_S', 256, 50],
  [20, 'IQ4_NL', 32, 18],
  [21, 'IQ3_S', 256, 110],
  [22, 'IQ2_S', 256, 82],
  [23, 'IQ4_XS', 256, 136],
  [24, 'I8', 1, 1],
  [25, 'I16', 1, 2],
  [26, 'I32', 1, 4],
  [27, 'I64', 1, 8],
  [28, 'F64', 1, 8],
  [29, 'IQ1_M', 256, 56],
  [30, 'BF16', 1, 2],
  [34, 'TQ1_0', 256, 54],
  [35, 'TQ2_0', 256, 66],
  [39, 'MXFP4', 32, 17],
  [40, 'NVFP4', 64, 36],
  [41, 'Q1_0', 128, 18],
  [42, 'Q2_0', 64, 18],
] as const;
export type TensorTypeName = (typeof TYPES)[number][1];

/** By their number in the file. */
export const TENSOR_TYPES: ReadonlyMap<number, TensorType> = new Map(
  TYPES.map(([number, name, block, bytes]) => [number, { name, block, bytes }]),
);

/** A tensor type and its number in the file. */
export function tensorType(name: TensorTypeName): TensorType & { number: number } {
  const found = TYPES.find((type) => type[1] === name);
  if (found === undefined) throw new Error(`No tensor type ${name}`);
  const [number, , block, bytes] = found;
  return { number, name, block, bytes };
}
