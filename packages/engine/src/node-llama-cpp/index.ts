export { type NodeLlamaCppOptions, startNodeLlamaCpp } from './node-llama-cpp.ts';
