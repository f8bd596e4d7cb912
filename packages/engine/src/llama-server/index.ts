export { type LlamaServerEngine, type LlamaServerOptions, startLlamaServer } from './engine.ts';
export { type EnsureOptions, ensureLlamaServer, type LlamaServerProgram } from './find.ts';
