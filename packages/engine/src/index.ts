export * from './chat/index.ts';
export * from './gguf/index.ts';
export * from './llama-server/index.ts';
export * from './models/index.ts';
export * from './node-llama-cpp/index.ts';
export * from './port.ts';
export { type EngineOptions, startEngine } from './start.ts';
