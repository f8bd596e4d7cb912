export type { DownloadProgress } from './download.ts';
export type { ReadObject } from './remote.ts';
export { type ResolveOptions, resolveModel } from './resolve.ts';
export { type ModelPair, type SplitOptions, splitModel, splitPaths } from './split.ts';
export { splitIfCombined } from './split-cache.ts';
