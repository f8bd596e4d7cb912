export * from './chat/index.ts';
export * from './gguf/index.ts';
// What runs a model is loaded by `startEngine`, and is at '@batchmill/engine/llama-server' for who wants that one.
export { type EnsureOptions, ensureLlamaServer, type LlamaServerProgram } from './llama-server/find.ts';
export type { Gpu } from './llama-server/libraries.ts';
export * from './models/index.ts';
export * from './port.ts';
export { type EngineOptions, startEngine } from './start.ts';
