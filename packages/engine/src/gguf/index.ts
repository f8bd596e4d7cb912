export { GgufError } from './bytes.ts';
export { describeModel, type ModelDescription } from './describe.ts';
export { Gguf, type GgufArray, type GgufValue, readGguf, type Tensor } from './read.ts';
export type { TensorType } from './types.ts';
