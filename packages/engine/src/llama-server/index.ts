export type { BuildProgress } from './build.ts';
export { type LlamaServerEngine, type LlamaServerOptions, startLlamaServer } from './engine.ts';
export { type EnsureOptions, ensureLlamaServer, type LlamaServerProgram } from './find.ts';
export type { Gpu } from './libraries.ts';
