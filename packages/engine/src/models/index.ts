export type { DownloadProgress } from './download.ts';
export type { ReadObject } from './remote.ts';
export { type ResolveOptions, resolveModel } from './resolve.ts';
