export { GgufError } from './bytes.ts';
export { describeModel, isCombined, type ModelDescription } from './describe.ts';
export { type MemoryNeeds, memoryNeeds } from './memory.ts';
export { Gguf, type GgufArray, type GgufRange, type GgufValue, readGguf, type Tensor } from './read.ts';
export type { TensorType, TensorTypeName } from './types.ts';
export {
  copiedTensor,
  ggufBytes,
  type MetadataValue,
  type NewTensor,
  tensorBytes,
  type WriteOptions,
  writeGguf,
} from './write.ts';
